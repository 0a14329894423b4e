export interface Choice {
  readonly value: string;
  readonly label: string;
  readonly hint?: string;
}

/** How the wizard gets an answer. `suggestion` is what Enter takes. Rejects with `Cancelled` when the person leaves. */
export interface Ask {
  choice(message: string, choices: readonly Choice[], suggestion: string): Promise<string>;
  /** `problem` says why a text will not do; undefined: it will. */
  text(message: string, suggestion: string, problem: (text: string) => string | undefined): Promise<string>;
  confirm(message: string, suggestion: boolean): Promise<boolean>;
}

/** The person pressed Ctrl-C or Escape. */
export class Cancelled extends Error {
  override readonly name = 'Cancelled';
}

/** Asks nothing: every answer is the suggestion (`--yes`). */
export const takeSuggestions: Ask = {
  choice: (_message, _choices, suggestion) => Promise.resolve(suggestion),
  text: (_message, suggestion) => Promise.resolve(suggestion),
  confirm: (_message, suggestion) => Promise.resolve(suggestion),
};

/** Asks at a terminal. */
export async function askAtTerminal(input: NodeJS.ReadStream, output: NodeJS.WriteStream): Promise<Ask> {
  // Only here: no other verb asks.
  const { cancel, confirm, select, text } = await import('@clack/prompts');
  const leave = (): Cancelled => {
    cancel('Cancelled; nothing was written.', { output });
    return new Cancelled();
  };
  return {
    async choice(message, choices, suggestion) {
      const options = choices.map(({ value, label, hint }) => ({ value, label, ...(hint !== undefined && { hint }) }));
      const answer = await select({ message, options, initialValue: suggestion, input, output });
      if (typeof answer === 'symbol') throw leave();
      return answer;
    },
    async text(message, suggestion, problem) {
      const answer = await text({
        message,
        ...(suggestion !== '' && { placeholder: suggestion, defaultValue: suggestion }),
        validate: (value) => problem(value === undefined || value === '' ? suggestion : value),
        input,
        output,
      });
      if (typeof answer === 'symbol') throw leave();
      return answer;
    },
    async confirm(message, suggestion) {
      const answer = await confirm({ message, initialValue: suggestion, input, output });
      if (typeof answer === 'symbol') throw leave();
      return answer;
    },
  };
}
