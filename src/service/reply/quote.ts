// Quotes texts of the service in our sentences: short, on one line, and without anything that looks like a token.
import { printable } from '../../entry/foreign-text';

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

/** The secret as plain text, and as JSON, a URL or HTML would encode it. */
function formsOf(secret: string): readonly string[] {
  if (secret === '') return [];
  const html = secret.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  return [
    secret,
    JSON.stringify(secret).slice(1, -1),
    // Throws for lone surrogates.
    encodeURIComponent(secret.toWellFormed()),
    html,
    ...['&quot;', '&#34;'].map((mark) => html.replaceAll('"', mark)),
  ];
}

/** The text with the secrets of a call masked: who answers may repeat the request. */
export function withoutSecrets(text: string, secrets: readonly string[]): string {
  // Longest first: one form may be a part of another.
  const forms = [...new Set(secrets.flatMap(formsOf))].sort((a, b) => b.length - a.length);
  return forms.reduce((rest, form) => rest.replaceAll(form, '…'), text);
}
