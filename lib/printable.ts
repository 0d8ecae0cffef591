// C0 and C1 controls, line separators, and what turns the direction of writing: a terminal acts on them.
const ACTED_ON = /[\p{Cc}\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** Text of others that a terminal shows and does not act on: control characters as `\x1b`, in one line. */
export function printable(text: string): string {
  return text.replace(ACTED_ON, (character) => {
    const code = character.charCodeAt(0);
    return code < 0x100
      ? `\\x${code.toString(16).padStart(2, '0')}`
      : `\\u${code.toString(16).padStart(4, '0')}`;
  });
}
