import type { Command } from 'commander';
import type { Config, ModelConfig } from '../config/config.ts';
import { GatewayError } from '../core/errors.ts';
import { isUrl, parseReference } from '../models/reference.ts';
import type { RemoteReference } from '../models/reference.ts';
import { exitCode } from './exit-code.ts';
import { interruptible } from './interruptible.ts';
import { PullProgress } from './pull-progress.ts';
import { also, type OutputOptions, print, type Run, withOutput } from './verb.ts';

interface Wish {
  readonly reference: RemoteReference;
  readonly env: ModelConfig['env'];
  readonly trustRemoteCode: boolean;
}

/** What of the config is meant, or what the URL says. @throws GatewayError `usage_invalid` */
function wishOf(what: string, config: Pick<Config, 'models'> | undefined, trustRemoteCode: boolean): Wish {
  if (isUrl(what)) {
    const reference = parseReference(what);
    if (reference.kind === 'bad') throw new GatewayError('usage_invalid', `${JSON.stringify(what)}: ${reference.problem}`);
    return { reference, env: {}, trustRemoteCode };
  }
  const model = config?.models.find(({ name }) => name === what);
  if (model === undefined) {
    const hint =
      config === undefined
        ? 'to pull a model of a config by its id, name the file with -c'
        : `its models are: ${config.models.map(({ name }) => name).join(', ')}`;
    throw new GatewayError('usage_invalid', `${JSON.stringify(what)} is no source such as s3://bucket/prefix; ${hint}`);
  }
  const { source, env } = model;
  if (source.kind === 'remote') return { reference: source.reference, env, trustRemoteCode: trustRemoteCode || source.trustRemoteCode };
  const why = source.kind === 'path' ? `it is here: ${source.value}` : `its engine fetches ${source.value} itself`;
  throw new GatewayError('usage_invalid', `there is nothing to pull for ${model.name}: ${why}`);
}

interface Pulled {
  /** What an engine is given. */
  readonly path: string;
  readonly revision: string;
  readonly sizeBytes: number;
  /** Why the store could not be asked for a newer one. */
  readonly stale?: string;
}

const inWords = ({ path, stale }: Pulled): string =>
  `${stale === undefined ? '' : `warning: what is here may be old: ${stale}\n`}${path}\n`;

interface PullOptions extends OutputOptions {
  readonly config?: readonly string[];
  readonly trustRemoteCode?: boolean;
}

async function pull(what: string, { config: files, trustRemoteCode = false, ...output }: PullOptions, signal: AbortSignal): Promise<void> {
  // With it come all engines and the whole schema, which a pull of a URL does not need.
  const config = files === undefined ? undefined : (await (await import('./load-config.ts')).loadConfigHere(files)).config;
  const wish = wishOf(what, config, trustRemoteCode);
  const progress = new PullProgress(process.stderr, output.quiet !== true && output.json !== true);
  // Only here: it takes longer to load than most other verbs take.
  const { cacheHere, openStore } = await import('../app/model-store.ts');
  const store = openStore(config ?? cacheHere(process.env), { receivesHere: true });
  try {
    const lease = await store.fetch(wish.reference, {
      env: { ...process.env, ...wish.env },
      trustRemoteCode: wish.trustRemoteCode,
      onProgress: (at) => {
        progress.show(at);
      },
      signal,
    });
    progress.end();
    const { path, revision, sizeBytes, stale } = lease;
    lease.release();
    print(output, { path, revision, sizeBytes, ...(stale === undefined ? {} : { stale }) }, inWords);
  } finally {
    progress.end();
  }
}

const help = `
What was pulled stands in the cache that a gateway with the same config uses (gateway.cache.dir), so that its start need not wait. A pull
that was cut goes on where it stopped. Progress goes to stderr, the path of the model to stdout.

Examples:
  gateway pull -c configs/s3-model.yaml qwen-0.5b
  gateway pull s3://anonymous@my-bucket/models/qwen-0.5b

Exit codes: 0 it is here, 1 failure, 2 nothing to pull, 4 config invalid.`;

/** Adds `gateway pull`. */
export function addPull(program: Command, run: Run): void {
  const command = program
    .command('pull')
    .description('bring a model here before a gateway needs it')
    .argument('<model>', 'the id of a model of the config, or a source: s3://, gs://, hf://, https://')
    .option('-c, --config <file>', 'the config file (YAML); repeat it for several, which are joined', also)
    .option('--trust-remote-code', 'take pickled weights and code of the model too')
    .addHelpText('after', help);
  withOutput(command).action((what: string, options: PullOptions) =>
    run(() =>
      interruptible(async (signal) => {
        await pull(what, options, signal);
        return exitCode.ok;
      }),
    ),
  );
}
