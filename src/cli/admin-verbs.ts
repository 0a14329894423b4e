import { homedir } from 'node:os';
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { Client } from 'undici';
import type { StatusReply } from '../admin/api.ts';
import { socketPath } from '../admin/server.ts';
import { loadConfig, type LoadedConfig } from '../config/load.ts';
import { formatProblem } from '../config/problems.ts';
import { defaultStateDir } from '../config/resolve-gateway.ts';
import { GatewayError, messageOf } from '../core/errors.ts';
import { engines } from '../plugins/registry.ts';
import { exitCode, type ExitCode } from './exit-code.ts';
import { schemaText } from './schema.ts';
import { statusTable } from './status-table.ts';

type Run = (action: () => Promise<ExitCode>) => Promise<void>;

interface Where {
  readonly stateDir?: string;
  readonly config?: string;
  readonly json?: boolean;
}

const load = (file: string): LoadedConfig =>
  loadConfig(file, { env: process.env, engines, cores: navigator.hardwareConcurrency, homeDir: homedir() });

/** The state directory named, or that of a config file, or the default one. */
function stateDirOf({ stateDir, config }: Where): string {
  if (stateDir !== undefined) return resolve(stateDir);
  return config === undefined ? defaultStateDir(process.env, homedir()) : load(config).config.stateDir;
}

interface Question {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: object;
  /** The answer in words; without it, or with `--json`, the answer itself is printed. */
  readonly show?: (answer: never) => string;
}

/** Asks the gateway that runs on a state directory, over its socket. @throws GatewayError `not_running` */
async function ask(where: Where, { method, path, body, show }: Question): Promise<ExitCode> {
  const socket = socketPath(stateDirOf(where));
  const client = new Client('http://localhost', { socketPath: socket });
  const given = body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  try {
    const reply = await client.request({ method, path, ...given }).catch((error: unknown) => {
      throw new GatewayError('not_running', `No gateway answers on ${socket}: ${messageOf(error)}.`, { cause: error });
    });
    const answer = await reply.body.json();
    const failed = reply.statusCode >= 400;
    const words = failed || where.json === true ? undefined : show?.(answer as never);
    (failed ? process.stderr : process.stdout).write(words ?? `${JSON.stringify(answer, undefined, 2)}\n`);
    return failed ? exitCode.failure : exitCode.ok;
  } finally {
    await client.close();
  }
}

function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('expected a whole number.');
  return Number(text);
}

/** `status`, `reload`, `stop`, `scale`: what talks to a running gateway. */
export function addAdminVerbs(program: Command, run: Run): void {
  const verb = (name: string, description: string, example = name): Command =>
    program
      .command(name)
      .description(description)
      .option('-c, --config <file>', 'the config file of the running gateway, which names its state directory')
      .option('--state-dir <dir>', 'its state directory (default: the one a config gets that names none)')
      .option('--json', 'print the answer as JSON')
      .addHelpText('after', `\nExample:\n  gateway ${example} -c configs/fake.yaml`);
  verb('status', 'show the models and replicas of the running gateway').action((where: Where) =>
    run(() => ask(where, { method: 'GET', path: '/api/status', show: (answer: StatusReply) => statusTable(answer) })),
  );
  verb('reload', 'apply the config file again; unchanged models keep their processes').action((where: Where) =>
    run(() => ask(where, { method: 'POST', path: '/api/reload', body: {} })),
  );
  verb('stop', 'stop the running gateway, after its requests have ended').action((where: Where) =>
    run(() => ask(where, { method: 'POST', path: '/api/stop', body: {} })),
  );
  verb('scale', 'set the number of replicas of a model until the next reload', 'scale my-model 2')
    .argument('<model>', 'its id')
    .argument('<replicas>', 'how many', wholeNumber)
    .action((model: string, replicas: number, where: Where) =>
      run(() => ask(where, { method: 'POST', path: '/api/scale', body: { model, replicas } })),
    );
}

/** `validate` and `schema`: what needs no gateway. */
export function addConfigVerbs(program: Command, run: Run): void {
  program
    .command('validate')
    .description('check a config file, and list what in it has no effect')
    .requiredOption('-c, --config <file>', 'the config file (YAML)')
    .addHelpText('after', '\nExample:\n  gateway validate -c configs/fake.yaml\n\nExit codes: 0 valid, 4 not valid.')
    .action(({ config }: { config: string }) =>
      run(async () => {
        const { warnings } = load(config);
        const lines = warnings.map((warning) => `warning: ${formatProblem(warning)}`);
        process.stdout.write([...lines, `${config} is valid.`, ''].join('\n'));
        return exitCode.ok;
      }),
    );
  program
    .command('schema')
    .description('print the JSON Schema of the config file (draft-07)')
    .addHelpText('after', '\nExample:\n  gateway schema > schema.json')
    .action(() =>
      run(async () => {
        process.stdout.write(schemaText());
        return exitCode.ok;
      }),
    );
}
