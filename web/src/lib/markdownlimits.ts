// Which texts would keep a Markdown parser busy for minutes.

const LONG_WORD = 500;
const MOST_SIGNS = 100;
const SIGNS = /[\\<![\]`*~_.@]/g;

/**
 * Whether a text has a very long word of many signs of Markdown: at each of them a parser looks through the rest of the
 * word for an e-mail address, so that 200,000 characters took it 94 seconds.
 */
export function isTangled(text: string): boolean {
  return text
    .split(/\s+/)
    .some((word) => word.length > LONG_WORD && (word.match(SIGNS)?.length ?? 0) > MOST_SIGNS);
}
