/**
 * Splits a command into words as a POSIX shell does: blanks and line ends part them, quotes and backslashes keep what they guard, a
 * backslash at a line's end joins lines, `#` at a word's start is a comment. Nothing is expanded and nothing is run.
 * Undefined: a quote is not closed.
 */
export function shellWords(text: string): readonly string[] | undefined {
  const words: string[] = [];
  const pattern = /\\\r?\n|\s+|#[^\n]*|((?:'[^']*'|"(?:\\[\s\S]|[^"\\])*"|\\[\s\S]|[^\s'"\\])+)|./gsu;
  for (const [match, word] of text.matchAll(pattern)) {
    if (word !== undefined) words.push(unquote(word));
    else if (match === '"' || match === "'" || match === '\\') return undefined;
  }
  return words;
}

function unquote(word: string): string {
  return word.replaceAll(
    /'([^']*)'|"((?:\\[\s\S]|[^"\\])*)"|\\([\s\S])/gu,
    (_match, single?: string, double?: string, escaped?: string) => {
      if (single !== undefined) return single;
      if (double !== undefined) return double.replaceAll(/\\\r?\n/g, '').replaceAll(/\\(["\\$`])/g, '$1');
      return escaped === '\n' ? '' : (escaped ?? '');
    },
  );
}
