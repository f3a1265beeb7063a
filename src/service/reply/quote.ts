// Quotes texts of the service in our sentences: short, on one line, and without anything that looks like a token.
import { printable } from '../../entry/foreign-text';
import { withoutSecrets } from '../login/secrets';

const MAX_CHARS = 200;
const MAX_CODE_CHARS = 40;

/** The text in quotes, or '' for none. */
export function quote(text: string | null | undefined, secrets: readonly string[] = []): string {
  const words = safeWords(text, secrets);
  return words === '' ? '' : `"${words}"`;
}

/**
 * The text, short and on one line. The secrets of the call, tokens (`hbapi:…`, `authn:…`) and JWTs are masked, since
 * the service, or a gateway in between, may repeat one.
 */
export function safeWords(text: string | null | undefined, secrets: readonly string[] = []): string {
  if (text === null || text === undefined) return '';
  return printable(masked(text, secrets), MAX_CHARS);
}

/** A code of the service, without quotes. */
export function quoteCode(code: string, secrets: readonly string[] = []): string {
  return printable(masked(code, secrets), MAX_CODE_CHARS);
}

function masked(text: string, secrets: readonly string[]): string {
  return withoutSecrets(text, secrets)
    .slice(0, 4 * MAX_CHARS)
    .replace(/[\p{Cc}\s]+/gu, ' ')
    .replace(/\b(hbapi|authn):\S+/g, '$1:…')
    .replace(/\beyJ[\w-]+\.[\w-]+\.[\w-]*/g, '…')
    .trim();
}
