// Whether the -wal file beside a queue is whole. SQLite reads it up to the first frame that is wrong and takes that for
// the end: one flipped bit in its header would make an empty queue of what a killed process had committed there.
//
// Only damage that is certain is told (https://sqlite.org/fileformat2.html#walformat). A transaction is written when
// the one before it is safely on the disk, and its sums go on from there. So a wrong frame is damage when a transaction
// that ended after it has a successor; else it may be what a power cut left of the last commit, or a full disk of one
// that was taken back. Neither was told to anybody as done.

import { readFileSync, statSync } from 'node:fs';

const magics = { littleEndian: 0x377f0682, bigEndian: 0x377f0683 } as const;
const headerBytes = 32;
const frameHeaderBytes = 24;

/** What is wrong, or null. A file that another process writes just now is never called damaged. */
export function walDamage(walPath: string): string | null {
  const before = statSync(walPath, { throwIfNoEntry: false });
  if (before === undefined || before.size <= headerBytes) return null;
  const bytes = readFileSync(walPath);
  const found = damageIn(bytes);
  const after = statSync(walPath, { throwIfNoEntry: false });
  return found === null || after?.mtimeMs !== before.mtimeMs || after.size !== before.size ? null : found;
}

type Sum = readonly [number, number];

class Wal {
  readonly #view: DataView;
  readonly littleEndian: boolean;
  readonly pageBytes: number;

  constructor(bytes: Buffer) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.littleEndian = this.#word(0) === magics.littleEndian;
    this.pageBytes = this.#word(8);
  }

  get headerIsRight(): boolean {
    const isOurs = this.littleEndian || this.#word(0) === magics.bigEndian;
    const isPageSize = this.pageBytes >= 512 && this.pageBytes <= 65_536;
    return isOurs && isPageSize && this.#isSum(24, this.headerSum());
  }

  headerSum(): Sum {
    return this.#sum([0, 0], 0, 24);
  }

  get frames(): number {
    return Math.floor((this.#view.byteLength - headerBytes) / (frameHeaderBytes + this.pageBytes));
  }

  /** The sum that stands in a frame. */
  sumIn(frame: number): Sum {
    const at = this.#at(frame);
    return [this.#word(at + 16), this.#word(at + 20)];
  }

  /** The sum through this frame, or null when the frame is wrong or of an earlier round through the file. */
  sumThrough(frame: number, before: Sum): Sum | null {
    const at = this.#at(frame);
    if (this.#word(at + 8) !== this.#word(16) || this.#word(at + 12) !== this.#word(20)) return null;
    const sum = this.#sum(this.#sum(before, at, 8), at + frameHeaderBytes, this.pageBytes);
    return this.#isSum(at + 16, sum) ? sum : null;
  }

  endsTransaction(frame: number): boolean {
    return this.#word(this.#at(frame) + 4) !== 0;
  }

  #at(frame: number): number {
    return headerBytes + frame * (frameHeaderBytes + this.pageBytes);
  }

  #word(at: number): number {
    return this.#view.getUint32(at);
  }

  #isSum(at: number, [first, second]: Sum): boolean {
    return this.#word(at) === first && this.#word(at + 4) === second;
  }

  #sum([first, second]: Sum, from: number, bytes: number): Sum {
    for (let at = from; at < from + bytes; at += 8) {
      first = (first + this.#view.getUint32(at, this.littleEndian) + second) >>> 0;
      second = (second + this.#view.getUint32(at + 4, this.littleEndian) + first) >>> 0;
    }
    return [first, second];
  }
}

function damageIn(bytes: Buffer): string | null {
  const wal = new Wal(bytes);
  // The header is on the disk before any frame is; one that was never written is nothing but zeros.
  if (!wal.headerIsRight) return isZeros(bytes) ? null : 'the header of its -wal file is wrong';
  const wrong = firstWrong(wal);
  for (let frame = wrong; frame + 1 < wal.frames; frame++) {
    if (wal.endsTransaction(frame) && wal.sumThrough(frame + 1, wal.sumIn(frame)) !== null)
      return `frame ${wrong + 1} of its -wal file is wrong, and whole ones follow`;
  }
  return null;
}

/** The number of frames when none is. */
function firstWrong(wal: Wal): number {
  let sum: Sum | null = wal.headerSum();
  for (let frame = 0; frame < wal.frames; frame++) {
    sum = wal.sumThrough(frame, sum);
    if (sum === null) return frame;
  }
  return wal.frames;
}

function isZeros(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0);
}
