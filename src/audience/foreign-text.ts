// Text that somebody else wrote, inside our sentences and log lines: on one line, with nothing hidden in it, and short.

/**
 * What ends a line, moves the cursor, hides text or turns its direction: control characters, format characters (those of
 * bidirectional text among them), line and paragraph separators, halves of characters.
 */
const unprintable = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

const named: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** The text without unprintable characters: `\n`, `\u202e` and the like stand for them. At most `most` characters of it. */
export function printable(text: string, most: number): string {
  if (text.length <= most) return text.replace(unprintable, escaped);
  const splitsPair = /[\ud800-\udbff]/.test(text.charAt(most - 1));
  return `${text.slice(0, splitsPair ? most - 1 : most).replace(unprintable, escaped)}…`;
}

function escaped(character: string): string {
  const digits = character.codePointAt(0)!.toString(16);
  return named[character] ?? (digits.length > 4 ? `\\u{${digits}}` : `\\u${digits.padStart(4, '0')}`);
}
