// The service's own words inside our sentences: short, on one line, and without anything that looks like a token.

const MAX_CHARS = 200;

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
  const line = withoutSecrets(text, secrets)
    .slice(0, 4 * MAX_CHARS)
    .replace(/[\p{Cc}\s]+/gu, ' ')
    .replace(/\b(hbapi|authn):\S+/g, '$1:…')
    .replace(/\beyJ[\w-]+\.[\w-]+\.[\w-]*/g, '…')
    .trim();
  return line.length > MAX_CHARS ? `${line.slice(0, MAX_CHARS)}…` : line;
}

function withoutSecrets(text: string, secrets: readonly string[]): string {
  return secrets.reduce((rest, secret) => (secret === '' ? rest : rest.replaceAll(secret, '…')), text);
}
