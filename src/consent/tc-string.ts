// Reads TC strings (IAB Europe, "Consent string and vendor list formats v2") for one vendor.
//
// The library reads the header, which has a fixed length. It would also write out every range of vendors, one by one into a
// tree without balance: 23 ms for a usual string in which a publisher restricts all vendors, 16 s for 52 malicious
// letters. So the ranges are read here as they are, in time proportional to the length.

import { createRequire } from 'node:module';
import type * as core from '@iabtcf/core';

/** What of a TC string counts. */
export interface NeededConsent {
  /** ID in the Global Vendor List. */
  readonly vendor: number;
  readonly purposes: readonly number[];
}

type Core = typeof core;

/** All fields before those of vendors, in bits. */
const headerBits = 213;
const headerChars = Math.ceil(headerBits / 6);
/** In place of the fields of vendors: none of them, in zeros. */
const noVendors = 'AAAAAAAA';

/** How a publisher restricts a purpose; the code of each. `requireConsent` takes nothing from a vendor with consent. */
const requireConsent = 1;
const restrictionTypes = 3;

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const valueOf = new Map(alphabet.split('').map((letter, value) => [letter.charCodeAt(0), value]));

/** Users return: kept until there are so many, and only short ones, so that they take a few megabytes at most. */
const mostKept = 1_000;
const mostKeptChars = 2_000;

/**
 * Whether a TC string has the vendor's consent, and that for each purpose; null if it cannot be read. Legitimate
 * interests do not count. The library is loaded with the first string. @throws if it cannot be loaded
 */
export function tcStringReader(needed: NeededConsent): (text: string) => boolean | null {
  const kept = new Map<string, boolean | null>();
  return (text) => {
    const known = kept.get(text);
    if (known !== undefined) return known;
    const found = consentIn(text, needed, library());
    if (kept.size >= mostKept) kept.clear();
    if (text.length <= mostKeptChars) kept.set(text, found);
    return found;
  };
}

let loaded: Core | null = null;

function library(): Core {
  loaded ??= createRequire(__filename)('@iabtcf/core') as Core;
  return loaded;
}

function consentIn(text: string, { vendor, purposes }: NeededConsent, tcf: Core): boolean | null {
  if (!/^[\w-]+(\.[\w-]+)*$/.test(text)) return null;
  // Further segments hold no vendor's consent.
  const segment = text.split('.', 1)[0]!;
  try {
    const allowed = allowedPurposes(segment, tcf);
    if (allowed === null) return null;
    const bits = new Bits(segment, headerBits);
    const hasConsent = includesVendor(bits, vendor);
    // Legitimate interests.
    includesVendor(bits, vendor);
    const restricted = restrictedPurposes(bits, vendor);
    return hasConsent && purposes.every((purpose) => allowed.has(purpose) && !restricted.has(purpose));
  } catch {
    // Cut off, or no number where one has to be.
    return null;
  }
}

/** Those with consent, by the library; null for another version. @throws if the header cannot be read */
function allowedPurposes(
  segment: string,
  { Base64Url, TCString }: Core,
): { has(purpose: number): boolean } | null {
  const header = Base64Url.decode(segment.slice(0, headerChars));
  if (header.length < headerBits) return null;
  const model = TCString.decode(Base64Url.encode(header.slice(0, headerBits)) + noVendors);
  return model.version === 2 ? model.purposeConsents : null;
}

/** Reads numbers one after the other. */
class Bits {
  constructor(
    private readonly text: string,
    private at: number,
  ) {}

  /** @throws RangeError at the end of the text */
  next(count: number): number {
    let number = 0;
    for (const end = this.at + count; this.at < end; this.at++) number = number * 2 + this.bit(this.at);
    return number;
  }

  /** Reads over a field with a bit for each vendor; whether that of the vendor is set. */
  field(vendors: number, vendor: number): boolean {
    const start = this.at;
    this.at += vendors;
    if (vendors > 0) this.bit(this.at - 1);
    return vendor <= vendors && this.bit(start + vendor - 1) === 1;
  }

  private bit(at: number): number {
    const value = valueOf.get(this.text.charCodeAt(Math.floor(at / 6)));
    if (value === undefined) throw new RangeError('the text ends');
    return (value >> (5 - (at % 6))) & 1;
  }
}

/** Reads a list of vendors, either as a field of bits or as ranges. */
function includesVendor(bits: Bits, vendor: number): boolean {
  const vendors = bits.next(16);
  const hasRanges = bits.next(1) === 1;
  return hasRanges ? inRanges(bits, vendor) : bits.field(vendors, vendor);
}

function inRanges(bits: Bits, vendor: number): boolean {
  let isIn = false;
  for (let left = bits.next(12); left > 0; left--) {
    const isRange = bits.next(1) === 1;
    const first = bits.next(16);
    const last = isRange ? bits.next(16) : first;
    if (first === 0 || last < first) throw new RangeError('no range of vendors');
    isIn ||= first <= vendor && vendor <= last;
  }
  return isIn;
}

/** The purposes for which the publisher does not let the vendor rely on consent. */
function restrictedPurposes(bits: Bits, vendor: number): Set<number> {
  const restricted = new Set<number>();
  for (let left = bits.next(12); left > 0; left--) {
    const purpose = bits.next(6);
    const type = bits.next(2);
    if (purpose === 0 || type === restrictionTypes) throw new RangeError('no restriction');
    if (inRanges(bits, vendor) && type !== requireConsent) restricted.add(purpose);
  }
  return restricted;
}
