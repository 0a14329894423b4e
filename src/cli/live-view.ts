/** Shows another page in place of a terminal's own, which comes back as it was. */
export const enterView = '\u001B[?1049h\u001B[?25l';
export const leaveView = '\u001B[?25h\u001B[?1049l';

const home = '\u001B[H';
const clearRest = '\u001B[K';
const clearBelow = '\u001B[J';

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

/** Where a terminal does not know its size it says 0: then what terminals were when they had but one. */
const usual: Size = { columns: 80, rows: 24 };

export function sizeOf({ columns, rows }: Size): Size {
  return { columns: columns > 0 ? columns : usual.columns, rows: rows > 0 ? rows : usual.rows };
}

/** What puts `text` in place of the page before, without a flicker: cut to the terminal, since a line that wraps would push others away. */
export function page(text: string, { columns, rows }: Size): string {
  const lines = text.trimEnd().split('\n');
  const hidden = lines.length - rows;
  const shown = hidden > 0 ? [...lines.slice(0, rows - 1), `… ${hidden + 1} more lines`] : lines;
  return home + shown.map((line) => cut(line, columns) + clearRest).join('\n') + clearBelow;
}

function cut(line: string, columns: number): string {
  return line.length <= columns ? line : `${line.slice(0, Math.max(0, columns - 1))}…`;
}
