// Masks the secrets of a call in texts of others, who may repeat the request.

/** `encodeURIComponent` throws for them. */
const loneSurrogates = /[\ud800-\udfff]/gu;
/** Deeper levels of a reply are dropped; the client reads none of them. */
const maxDepth = 50;

/** The secret as plain text, and as JSON, a URL or HTML would encode it. */
function formsOf(secret: string): readonly string[] {
  if (secret === '') return [];
  const html = secret.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  return [
    secret,
    JSON.stringify(secret).slice(1, -1),
    encodeURIComponent(secret.replace(loneSurrogates, '\ufffd')),
    html,
    ...['&quot;', '&#34;'].map((quote) => html.replaceAll('"', quote)),
  ];
}

function allForms(secrets: readonly string[]): readonly string[] {
  // Longest first: one form may be a part of another.
  return [...new Set(secrets.flatMap(formsOf))].sort((a, b) => b.length - a.length);
}

export function withoutSecrets(text: string, secrets: readonly string[]): string {
  return allForms(secrets).reduce((rest, form) => rest.replaceAll(form, '…'), text);
}

/**
 * The JSON of a reply with the secrets masked in every text. Only for calls whose secret is a token: a password may be
 * a word such as `OK`, which the reply needs.
 *
 * @param body the unparsed reply; without a secret in it, `json` is returned unchanged
 */
export function jsonWithoutSecrets(json: unknown, body: string, secrets: readonly string[]): unknown {
  // A backslash may escape any character of a secret.
  if (!body.includes('\\') && !allForms(secrets).some((form) => body.includes(form))) return json;
  return mapTexts(json, (text) => withoutSecrets(text, secrets));
}

function mapTexts(value: unknown, change: (text: string) => string, depth = 0): unknown {
  if (typeof value === 'string') return change(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth > maxDepth) return null;
  if (Array.isArray(value)) return value.map((one) => mapTexts(one, change, depth + 1));
  const entries = Object.entries(value).map(([key, one]) => [key, mapTexts(one, change, depth + 1)] as const);
  return Object.fromEntries(entries);
}
