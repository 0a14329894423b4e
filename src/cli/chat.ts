import { text } from 'node:stream/consumers';
import type { Command } from 'commander';
import type { StatusReply } from '../admin/api.ts';
import { GatewayError } from '../core/errors.ts';
import { adminVerb, askAdmin, stateDirOf, type Where } from './admin-client.ts';
import { askModel, type ChatTarget, chatUrl } from './chat/ask-model.ts';
import { begin, say } from './chat/conversation.ts';
import { talk } from './chat/talk.ts';
import { exitCode, type ExitCode } from './exit-code.ts';
import { readKeyFile } from './key-file.ts';
import { coloured } from './output.ts';
import { printable } from './printable.ts';
import type { Run } from './verb.ts';

interface ChatOptions extends Where {
  readonly system?: string;
  readonly message?: string;
  readonly apiKeyFile?: string;
}

const help = `  gateway chat my-model -m 'Why is the sky blue?'
  git diff | gateway chat my-model --system 'Write a commit message for this diff.'

At a terminal it asks and answers until /exit, Ctrl-D, or Ctrl-C where nothing is being answered. Ctrl-C stops an answer, /clear
forgets what was said. With -m, or with a message on stdin, it prints one answer and nothing else.
Control characters in an answer are left out: a model's text cannot steer the terminal.

Exit codes: 0 answered or left, 1 no gateway, or the answer failed, 2 usage.`;

/** Adds `gateway chat`: a conversation with a model of the running gateway, through its API as any client's. */
export function addChat(program: Command, run: Run): void {
  adminVerb(program, 'chat', 'talk to a model of the running gateway', 'my-model')
    .argument('<model>', 'its id, or an alias')
    .option('-s, --system <text>', 'what the model is told first')
    .option('-m, --message <text>', 'ask this, print the answer and end')
    .option('--api-key-file <file>', 'a file with a key of the API, where it asks for one')
    .addHelpText('after', help)
    .action((model: string, options: ChatOptions) => run(() => chat(model, options)));
}

async function chat(model: string, options: ChatOptions): Promise<ExitCode> {
  const { stdin, stdout } = process;
  const message = options.message ?? (stdin.isTTY ? undefined : await text(stdin));
  if (message === undefined && !stdout.isTTY)
    throw new GatewayError(
      'usage_invalid',
      'chat shows a conversation and stdout is not a terminal; expected --message, or a message on stdin.',
    );
  if (message?.trim() === '') throw new GatewayError('usage_invalid', 'the message is empty; expected some text in --message or on stdin.');
  const url = chatUrl(await askAdmin<StatusReply>(await stateDirOf(options), { method: 'GET', path: '/api/status' }), model);
  const apiKey = readKeyFile(options.apiKeyFile);
  if (message !== undefined) return answerOnce({ url, apiKey }, model, message, options);
  await talk(
    { url, apiKey, model, system: options.system, quiet: options.quiet === true, color: coloured(stdout, process.env) },
    stdin,
    stdout,
  );
  return exitCode.ok;
}

/** Prints one answer as it comes; with `--json` when it is whole. */
async function answerOnce(target: ChatTarget, model: string, message: string, { system, json, quiet }: ChatOptions): Promise<ExitCode> {
  const { stdout, stderr } = process;
  const closed = new AbortController();
  // Who reads has gone, as `head` does: no more of the answer is wanted.
  stdout.once('error', () => closed.abort());
  const streams = json !== true && quiet !== true;
  const answer = await askModel(target, { model, messages: say(begin(system), message) }, closed.signal, (piece) => {
    if (streams && piece.kind === 'text') stdout.write(printable(piece.text));
  });
  if (json === true)
    stdout.write(`${JSON.stringify({ model, answer: answer.text, finish_reason: answer.finish ?? null }, undefined, 2)}\n`);
  if (streams && !answer.text.endsWith('\n')) stdout.write('\n');
  if (streams && answer.finish === 'length') stderr.write('(cut: the answer reached its longest length)\n');
  return exitCode.ok;
}
