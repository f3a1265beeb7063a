// The service's own words inside our sentences: short, on one line, and without anything that looks like a token.
import { printable } from '../audience/foreign-text';
import { withoutSecrets } from './secrets';

const MAX_CHARS = 200;
const MAX_CODE_CHARS = 40;

/** The text in quotes, or '' for none. */
export function quote(text: string | null | undefined, secrets: readonly string[] = []): string {
  const words = safeWords(text, secrets);
  return words === '' ? '' : `"${words}"`;
}

/**
 * The text, short and on one line. The secrets of the call, tokens (`hbapi:…`, `authn:…`) and JWTs are blotted
 * out, in case the service or something in between repeated one.
 */
export function safeWords(text: string | null | undefined, secrets: readonly string[] = []): string {
  if (text === null || text === undefined) return '';
  return printable(blotted(text, secrets), MAX_CHARS);
}

/** A code of the service, which stands without quotes. */
export function quoteCode(code: string, secrets: readonly string[] = []): string {
  return printable(blotted(code, secrets), MAX_CODE_CHARS);
}

function blotted(text: string, secrets: readonly string[]): string {
  return withoutSecrets(text, secrets)
    .slice(0, 4 * MAX_CHARS)
    .replace(/[\p{Cc}\s]+/gu, ' ')
    .replace(/\b(hbapi|authn):\S+/g, '$1:…')
    .replace(/\beyJ[\w-]+\.[\w-]+\.[\w-]*/g, '…')
    .trim();
}
