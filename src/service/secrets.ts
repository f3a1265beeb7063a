// Blots out the secrets of a call in what somebody else says, who may repeat what was sent.

/** No address can hold them. */
const loneSurrogates = /[\ud800-\udfff]/gu;
/** Deeper nothing of a reply is read. */
const mostDepth = 50;

/** Also as JSON, an address or a page of HTML would have them. */
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
  // The longest first: one form may be a part of another.
  return [...new Set(secrets.flatMap(formsOf))].sort((a, b) => b.length - a.length);
}

export function withoutSecrets(text: string, secrets: readonly string[]): string {
  return allForms(secrets).reduce((rest, form) => rest.replaceAll(form, '…'), text);
}

/**
 * A reply's JSON, in every text that it holds. For calls whose secret is a token: a password may be a word like `OK`,
 * that a reply needs.
 *
 * @param body the reply as it came; most hold no secret, and are taken as they are
 */
export function jsonWithoutSecrets(json: unknown, body: string, secrets: readonly string[]): unknown {
  // With a backslash any character may be written in another way.
  if (!body.includes('\\') && !allForms(secrets).some((form) => body.includes(form))) return json;
  return mapTexts(json, (text) => withoutSecrets(text, secrets));
}

function mapTexts(value: unknown, change: (text: string) => string, depth = 0): unknown {
  if (typeof value === 'string') return change(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth > mostDepth) return null;
  if (Array.isArray(value)) return value.map((one) => mapTexts(one, change, depth + 1));
  const entries = Object.entries(value).map(([key, one]) => [key, mapTexts(one, change, depth + 1)] as const);
  return Object.fromEntries(entries);
}
