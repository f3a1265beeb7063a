// The saved properties of consent, of builder and sync node.
import type { ConsentConfig } from '../../src/entry/index';
import { choice, field, onlyIf, plainText, Refused, whole, type Saved, type Schema } from './saved';
import { shorten } from '../../src/entry/index';

/** Xandr's in IAB Europe's Global Vendor List. */
export const defaultVendor = 32;
/** Purposes have the numbers from 1 to this. */
export const purposeCount = 11;
const maxVendor = 65_535;

type Fields = {
  readonly [Name in keyof Omit<ConsentConfig, 'consent' | 'consentType'>]: Schema<ConsentConfig[Name]>;
};

/** Whether the form has a value for consent; a variable may give one. */
export function usesConsent({ consent, consentType }: Saved): boolean {
  const isEmpty = consent === undefined || consent === null || plainText(consent) === '';
  return !isEmpty || plainText(consentType) === 'item';
}

/** All but the typed input, which each node reads as its others. */
export function consentFields(used: boolean): Fields {
  return {
    consentVendor: onlyIf(used, whole({ min: 1, max: maxVendor }, defaultVendor, 'vendor'), defaultVendor),
    consentPurposes: onlyIf(used, purposes, []),
    withoutConsent: onlyIf(used, choice(['skip', 'remove'], 'skip'), 'skip'),
  };
}

/** A variable gives them as a text: `1, 3`. */
const purposes = field<number[]>([], (value) => {
  const listed: readonly unknown[] = Array.isArray(value) ? value : (plainText(value)?.split(',') ?? [value]);
  const texts = listed.map((each) => plainText(each) ?? shorten(each)).filter((text) => text !== '');
  const wrong = texts.find((text) => !/^\d+$/.test(text) || Number(text) < 1 || Number(text) > purposeCount);
  if (wrong !== undefined) return new Refused('purpose', { got: shorten(wrong), max: purposeCount });
  return [...new Set(texts.map(Number))];
});
