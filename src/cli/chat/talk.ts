import { GatewayError } from '../../core/errors.ts';
import { printable } from '../printable.ts';
import { type ChatTarget, type Answer, askModel } from './ask-model.ts';
import { begin, type Conversation, hear, readTyped, say } from './conversation.ts';
import type { Piece } from './pieces.ts';
import { readTypedText } from './prompt.ts';

export interface TalkSettings extends ChatTarget {
  readonly model: string;
  readonly system: string | undefined;
  /** Without the line that says how to leave. */
  readonly quiet: boolean;
  readonly color: boolean;
}

/** Typed lines that the arrow keys bring back. */
const longestHistory = 200;

/** Asks and answers at a terminal until the person leaves. A failed answer is told, and the conversation goes on without it. */
export async function talk(settings: TalkSettings, input: NodeJS.ReadStream, output: NodeJS.WriteStream): Promise<void> {
  const dim = (text: string): string => (settings.color ? `\u001B[2m${text}\u001B[22m` : text);
  if (!settings.quiet)
    output.write(`${dim(`${printable(settings.model)} at ${settings.url}. Ctrl-C stops an answer; /clear forgets; /exit leaves.`)}\n`);
  let conversation = begin(settings.system);
  let history: readonly string[] = [];
  for (;;) {
    const typed = readTyped(await readTypedText(input, output, '> ', history));
    switch (typed.kind) {
      case 'leave':
        output.write('\n');
        return;
      case 'nothing':
        break;
      case 'clear':
        conversation = begin(settings.system);
        break;
      case 'message':
        history = [typed.text, ...history].slice(0, longestHistory);
        conversation = await answer(settings, say(conversation, typed.text), output, dim);
        break;
    }
  }
}

/** One turn. While it lasts the terminal is as a shell has it, so that Ctrl-C is a signal. */
async function answer(
  { url, apiKey, model }: TalkSettings,
  asked: Conversation,
  output: NodeJS.WriteStream,
  dim: (text: string) => string,
): Promise<Conversation> {
  const stop = new AbortController();
  const onInterrupt = (): void => stop.abort();
  process.on('SIGINT', onInterrupt);
  const shown: Shown = { last: 'nothing' };
  try {
    const heard = await askModel({ url, apiKey }, { model, messages: asked }, stop.signal, (piece) => show(piece, shown, output, dim));
    output.write(ending(heard, dim));
    return hear(asked, heard);
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    output.write(`${shown.last === 'nothing' ? '' : '\n'}error: ${printable(error.message)}\n`);
    return hear(asked, undefined);
  } finally {
    process.off('SIGINT', onInterrupt);
  }
}

/** What stands last on the screen. */
interface Shown {
  last: 'nothing' | 'thought' | 'text';
}

function show(piece: Piece, shown: Shown, output: NodeJS.WriteStream, dim: (text: string) => string): void {
  if (piece.kind !== 'text' && piece.kind !== 'thought') return;
  if (piece.kind === 'text' && shown.last === 'thought') output.write('\n\n');
  shown.last = piece.kind;
  const text = printable(piece.text);
  output.write(piece.kind === 'thought' ? dim(text) : text);
}

function ending({ text, finish }: Answer, dim: (text: string) => string): string {
  const newline = text.endsWith('\n') ? '' : '\n';
  if (finish === undefined) return `${newline}${dim('(stopped)')}\n`;
  return finish === 'length' ? `${newline}${dim('(cut: the answer reached its longest length)')}\n` : newline;
}
