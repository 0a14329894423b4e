import { createInterface } from 'node:readline';

/**
 * Reads what a person types until Enter, with the keys of a shell's line and `history` (newest first) behind the arrow keys. Several
 * lines pasted at once are one text. Undefined: Ctrl-D or Ctrl-C. The terminal is as before when it resolves.
 */
export function readTypedText(
  input: NodeJS.ReadStream,
  output: NodeJS.WriteStream,
  prompt: string,
  history: readonly string[],
): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const lines: string[] = [];
  const terminal = createInterface({ input, output, prompt, history: [...history], terminal: true });
  const take = (): void => {
    // The rest of a paste without a newline at its end waits on the line for Enter.
    if (terminal.line !== '') return;
    resolve(lines.join('\n'));
    terminal.close();
  };
  terminal.on('line', (line) => {
    lines.push(line);
    // The lines of a paste come within one turn.
    setImmediate(take);
  });
  terminal.on('SIGINT', () => terminal.close());
  terminal.once('close', () => resolve(undefined));
  terminal.prompt();
  return promise;
}
