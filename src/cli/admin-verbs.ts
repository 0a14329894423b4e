import { homedir } from 'node:os';
import type { Command } from 'commander';
import { Client } from 'undici';
import { socketPath } from '../admin/server.ts';
import { loadConfig } from '../config/load.ts';
import { GatewayError, messageOf } from '../core/errors.ts';
import { engines } from '../plugins/registry.ts';
import { exitCode, type ExitCode } from './exit-code.ts';

type Run = (action: () => Promise<ExitCode>) => Promise<void>;

/** Asks the gateway that runs on `stateDir`; its reply is printed as JSON. @throws GatewayError `not_running` */
async function ask(stateDir: string, method: 'GET' | 'POST', path: string, body?: object): Promise<ExitCode> {
  const client = new Client('http://localhost', { socketPath: socketPath(stateDir) });
  const given = body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  try {
    const reply = await client.request({ method, path, ...given }).catch((error: unknown) => {
      throw new GatewayError('not_running', `No gateway answers on ${socketPath(stateDir)}: ${messageOf(error)}.`, { cause: error });
    });
    const answer = await reply.body.json();
    (reply.statusCode < 400 ? process.stdout : process.stderr).write(`${JSON.stringify(answer, undefined, 2)}\n`);
    return reply.statusCode < 400 ? exitCode.ok : exitCode.failure;
  } finally {
    await client.close();
  }
}

const stateDirOf = (file: string): string =>
  loadConfig(file, { env: process.env, engines, cores: navigator.hardwareConcurrency, homeDir: homedir() }).config.stateDir;

interface Where {
  readonly stateDir: string;
}

/** `status`, `reload`, `stop`, `scale`: what talks to a running gateway. */
export function addAdminVerbs(program: Command, run: Run): void {
  const verb = (name: string, description: string): Command =>
    program
      .command(name)
      .description(description)
      .requiredOption('--state-dir <dir>', 'the state directory of the running gateway (gateway.state_dir)')
      .addHelpText(
        'after',
        `\nExample:\n  gateway ${name.replace('<model> <replicas>', 'my-model 2')} --state-dir ~/.local/state/roundhouse`,
      );
  verb('status', 'print the models and replicas of the running gateway as JSON').action(({ stateDir }: Where) =>
    run(() => ask(stateDir, 'GET', '/api/status')),
  );
  verb('reload', 'apply the config file again; unchanged models keep their processes').action(({ stateDir }: Where) =>
    run(() => ask(stateDir, 'POST', '/api/reload', {})),
  );
  verb('stop', 'stop the running gateway').action(({ stateDir }: Where) => run(() => ask(stateDir, 'POST', '/api/stop', {})));
  verb('scale <model> <replicas>', 'set the number of replicas of a model until the next reload').action(
    (model: string, replicas: string, { stateDir }: Where) =>
      run(() => ask(stateDir, 'POST', '/api/scale', { model, replicas: Number(replicas) })),
  );
}

/** `validate`. */
export function addValidate(program: Command, run: Run): void {
  program
    .command('validate')
    .description('check a config file')
    .requiredOption('-c, --config <file>', 'the config file (YAML)')
    .addHelpText('after', '\nExample:\n  gateway validate -c configs/fake.yaml')
    .action(({ config }: { config: string }) =>
      run(async () => {
        process.stdout.write(`${config} is valid; its state directory is ${stateDirOf(config)}\n`);
        return exitCode.ok;
      }),
    );
}
