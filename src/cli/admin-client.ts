import { homedir } from 'node:os';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { Client } from 'undici';
import { socketPath } from '../admin/socket-path.ts';
import { defaultStateDir } from '../config/user-dirs.ts';
import { GatewayError, messageOf } from '../core/errors.ts';
import { also, type OutputOptions, withOutput } from './verb.ts';

/** Which running gateway is meant. */
export interface Where extends OutputOptions {
  readonly stateDir?: string;
  readonly config?: readonly string[];
}

export interface AdminQuestion {
  readonly method: 'GET' | 'POST';
  /** With its query. */
  readonly path: string;
  readonly body?: object;
  /** Ends the wait for an answer. */
  readonly signal?: AbortSignal;
}

/** A verb that talks to a running gateway, with the options that say to which one. `example`: its arguments, for `--help`. */
export function adminVerb(program: Command, name: string, description: string, example = ''): Command {
  const command = program
    .command(name)
    .description(description)
    .option('-c, --config <file>', 'the config file of the running gateway, which names its state directory; repeat it for several', also)
    .option('--state-dir <dir>', 'its state directory (default: the one a config gets that names none)')
    .addHelpText('after', `\nExample:\n  gateway ${name}${example === '' ? '' : ` ${example}`} -c configs/fake.yaml`);
  return withOutput(command);
}

/** The state directory named, or that of a config file, or the default one. @throws ConfigError */
export async function stateDirOf({ stateDir, config }: Where): Promise<string> {
  if (stateDir !== undefined) return resolve(stateDir);
  if (config === undefined) return defaultStateDir(process.env, homedir());
  // Only here: what reads a config takes longer to load than the gateway to answer.
  const { loadConfigHere } = await import('./load-config.ts');
  return (await loadConfigHere(config)).config.stateDir;
}

/** The error that the gateway answered with, as its own. What checks it is loaded only here: most verbs get none. */
async function errorOf(status: number, body: unknown): Promise<GatewayError> {
  const { adminError } = await import('./admin-error.ts');
  return adminError(status, body);
}

/** undici is loaded only here: it is much of what a verb that asks nobody would load. */
async function clientOf(socket: string, options: Client.Options = {}): Promise<Client> {
  const undici = await import('undici');
  return new undici.Client('http://localhost', { ...options, socketPath: socket });
}

/** No socket, or one that a gateway left behind when it was killed. */
const nobodyThere = new Set(['ENOENT', 'ECONNREFUSED']);

/** A gateway that does not answer on its socket. */
function notRunning(socket: string, cause: unknown): GatewayError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  const why = nobodyThere.has(code) ? 'none runs on that state directory; -c FILE or --state-dir DIR names another' : messageOf(cause);
  return new GatewayError('not_running', `No gateway answers on ${socket}: ${why}.`, { cause });
}

/**
 * The lines of an answer that comes bit by bit, for as long as it comes.
 * @throws GatewayError `not_running` (also when the gateway ends meanwhile), or the error the gateway answers with; `signal.reason`.
 */
export async function* adminLines(stateDir: string, path: string, signal: AbortSignal): AsyncGenerator<string> {
  const socket = socketPath(stateDir);
  // A log can be silent for hours.
  const client = await clientOf(socket, { bodyTimeout: 0 });
  const failed = (error: unknown): never => {
    signal.throwIfAborted();
    throw error instanceof GatewayError ? error : notRunning(socket, error);
  };
  try {
    const reply = await client.request({ method: 'GET', path, signal });
    if (reply.statusCode >= 400) throw await errorOf(reply.statusCode, await reply.body.json());
    let rest = '';
    for await (const chunk of reply.body.setEncoding('utf8') as AsyncIterable<string>) {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      yield* lines;
    }
  } catch (error) {
    failed(error);
  } finally {
    await client.destroy();
  }
}

/**
 * Asks the gateway that runs on a state directory, over its socket, and gives its JSON to `T`, which the admin API's types name.
 * @throws GatewayError `not_running`, or the error the gateway answers with; the signal's reason.
 */
export async function askAdmin<T>(stateDir: string, { method, path, body, signal }: AdminQuestion): Promise<T> {
  const socket = socketPath(stateDir);
  const client = await clientOf(socket);
  const given = body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  try {
    const reply = await client.request({ method, path, ...given, signal: signal ?? null }).catch((error: unknown) => {
      signal?.throwIfAborted();
      throw notRunning(socket, error);
    });
    const answer = await reply.body.json();
    if (reply.statusCode >= 400) throw await errorOf(reply.statusCode, answer);
    return answer as T;
  } finally {
    await client.close();
  }
}
