// Makes foreign text safe inside our sentences and log lines: one line, no hidden characters, limited length.

/**
 * Characters that end a line, move the cursor, hide text or change its direction: control and format characters
 * (including those of bidirectional text), line and paragraph separators, lone surrogates.
 */
const unprintable = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

const named: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** The first `maxChars` characters of the text, with escapes such as `\n` and `\u202e` for unprintable ones. */
export function printable(text: string, maxChars: number): string {
  if (text.length <= maxChars) return text.replace(unprintable, escaped);
  const splitsPair = /[\ud800-\udbff]/.test(text.charAt(maxChars - 1));
  return `${text.slice(0, splitsPair ? maxChars - 1 : maxChars).replace(unprintable, escaped)}…`;
}

function escaped(character: string): string {
  const digits = character.codePointAt(0)!.toString(16);
  return named[character] ?? (digits.length > 4 ? `\\u{${digits}}` : `\\u${digits.padStart(4, '0')}`);
}
