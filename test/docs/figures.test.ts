// Texts against what they speak of: figures of the code, files of the package, the language of a sentence, the bench's rule.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { quietLoad } from '../../bench/support/report';
import { defaultPageRows } from '../../src/delivery/engine';

const root = path.join(__dirname, '..', '..');
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');
const under = (folder: string, end: RegExp): string[] =>
  readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => end.test(file))
    .map((file) => path.join(folder, file));

describe('texts that say what the code does', () => {
  it('docs/internals/delivery.md says how many rows a page has', () => {
    const [, rows] = /in order, ([\d,]+) at a time/.exec(read('docs/internals/delivery.md'))!;
    assert.equal(Number(rows!.replace(',', '')), defaultPageRows);
  });

  it('examples name no file that is not in the package, but by its address', () => {
    const packed = [...(JSON.parse(read('package.json')) as { files: string[] }).files, 'package.json'];
    for (const file of under('examples', /\.json$/)) {
      for (const [named] of read(file).matchAll(
        /(?<![\w/.:-])[a-z][\w-]*\/[\w./-]+\.(?:md|ts|mjs|json)\b/g,
      )) {
        const isPacked = packed.some((one) => named === one || named.startsWith(`${one}/`));
        assert.ok(isPacked || !existsSync(path.join(root, named)), `${file}: ${named}`);
      }
    }
  });

  it('call the language of a message the server’s: the runtime does not know the editor', () => {
    const ofRuntime = [
      ...under('docs', /\.md$/),
      ...under('nodes', /help\/.*\.md$/),
      ...under('examples', /\.json$/),
    ];
    const wrong = /editor[’']s language|Sprache des Editors|エディターの言語/;
    assert.deepEqual(
      ofRuntime.filter((file) => wrong.test(read(file).replace(/\s+/g, ' '))),
      [],
    );
  });

  it('the pages of the bench are of runs that began on a quiet machine', () => {
    for (const page of ['benchmarks', 'benchmarks-long']) {
      const [, load] = /Load average when it began: (\d+\.\d+)/.exec(read(`docs/internals/${page}.md`))!;
      assert.ok(Number(load) <= quietLoad, page);
    }
  });
});
