// Whether a user has consented, by a yes or no or by a TC string (IAB Europe's Transparency and Consent Framework, version 2).
import type { IssueCode } from '../issues';
import { shorten } from '../shorten';
import { Later, type CompiledInput } from './typed-inputs';

/** Whether a TC string has the consent that is needed; null if it cannot be read. The form asks the runtime. */
export type ReadTcString = (text: string) => boolean | null | Later;

/** A value that says neither yes nor no: the code and the parameters of its issue. */
export class UnclearConsent {
  constructor(
    readonly code: Extract<IssueCode, `consent_${string}`>,
    readonly params: Readonly<Record<string, string | number>>,
  ) {}
}

export type Consent = boolean | UnclearConsent;

/** In characters. Those of publishers with many restrictions have about 2,000. */
const maxTcChars = 16_384;

/** As flow authors and databases write them; PostgreSQL exports `t` and `f`. */
const yes: readonly string[] = ['true', 't', 'yes', 'y', 'on', '1'];
const no: readonly string[] = ['false', 'f', 'no', 'n', 'off', '0', ''];

/** A missing value is no consent. @throws what `readTcString` throws */
export function consentOf(value: unknown, readTcString: ReadTcString): Consent | Later {
  if (typeof value === 'boolean') return value;
  if (value === undefined || value === null || value === 0) return false;
  if (value === 1) return true;
  if (typeof value !== 'string') return unknownConsent(value);
  if (value.length > maxTcChars)
    return new UnclearConsent('consent_too_long', { got: value.length, max: maxTcChars });
  const text = value.trim();
  const word = text.toLowerCase();
  if (yes.includes(word)) return true;
  if (no.includes(word)) return false;
  // The first letter is the version.
  if (!text.startsWith('C')) return unknownConsent(value);
  const found = readTcString(text);
  return found instanceof Later
    ? new Later(found.value.then((late) => known(late, text)))
    : known(found, text);
}

function known(found: unknown, text: string): Consent {
  return typeof found === 'boolean' ? found : new UnclearConsent('consent_broken', { got: shorten(text) });
}

function unknownConsent(value: unknown): Consent {
  return new UnclearConsent('consent_unknown', { got: shorten(value) });
}

/** The input, with the consent in place of its value. */
export function consentInput(get: CompiledInput, readTcString: ReadTcString): CompiledInput {
  // That there is no value may have another cause, which is told.
  const read = (value: unknown): unknown =>
    value === undefined ? undefined : consentOf(value, readTcString);
  return (context) => {
    const value = get(context);
    if (!(value instanceof Later)) return read(value);
    return new Later(value.value.then(read).then((found) => (found instanceof Later ? found.value : found)));
  };
}
