import { Argument, type Command } from 'commander';
import { GatewayError } from '../core/errors.ts';
import type { Cached, ModelCache } from '../models/cache.ts';
import { bytesText } from '../models/progress.ts';
import { damageOf } from '../models/verify-entry.ts';
import { duration } from './duration.ts';
import { exitCode, type ExitCode } from './exit-code.ts';
import { interruptible } from './interruptible.ts';
import { also, type OutputOptions, print, type Run, withOutput } from './verb.ts';

interface CacheOptions extends OutputOptions {
  readonly config?: readonly string[];
  readonly all?: boolean;
}

/** By the id that `ls` prints, or by the source. @throws GatewayError `usage_invalid` for a name of nothing */
function meant(cache: ModelCache, names: readonly string[]): readonly Cached[] {
  const all = cache.list();
  return names.flatMap((name) => {
    const found = all.filter(({ id, entry }) => id === name || entry.reference === name);
    if (found.length === 0)
      throw new GatewayError('usage_invalid', `there is no ${JSON.stringify(name)} in the cache ${cache.root}; see gateway cache ls`);
    return found;
  });
}

interface Listed {
  readonly id: string;
  readonly source: string;
  readonly sizeBytes: number;
  /** ISO 8601. */
  readonly usedAt: string;
  readonly inUse: boolean;
}

function listWords({ dir, models, unfinished }: { dir: string; models: readonly Listed[]; unfinished: readonly string[] }): string {
  const lines = models.map(({ id, source, sizeBytes, usedAt, inUse }) => {
    const used = inUse ? 'in use' : `used ${duration(Date.now() - Date.parse(usedAt))} ago`;
    return `${id}  ${bytesText(sizeBytes)}  ${used}  ${source}`;
  });
  const sum = models.reduce((total, { sizeBytes }) => total + sizeBytes, 0);
  return [
    ...lines,
    ...unfinished.map((id) => `${id}  not whole: a pull or a start goes on with it`),
    `${models.length} models, ${bytesText(sum)} in ${dir}`,
    '',
  ].join('\n');
}

function list(cache: ModelCache, output: OutputOptions): ExitCode {
  const models = cache.list().map(({ id, entry, usedAt }) => ({
    id,
    source: entry.reference,
    sizeBytes: entry.sizeBytes,
    usedAt: new Date(usedAt).toISOString(),
    inUse: cache.isLeased(id),
  }));
  print(output, { dir: cache.root, models, unfinished: cache.unfinished().map(({ id }) => id) }, listWords);
  return exitCode.ok;
}

async function remove(
  cache: ModelCache,
  names: readonly string[],
  { all = false, ...output }: CacheOptions,
  signal: AbortSignal,
): Promise<ExitCode> {
  if (all === names.length > 0) throw new GatewayError('usage_invalid', 'expected the models to take away, or --all');
  const models = all ? cache.list() : meant(cache, names);
  const results: { id: string; result: string }[] = [];
  for (const { id } of models) results.push({ id, result: await cache.remove(id, signal) });
  for (const each of all ? cache.unfinished() : []) results.push({ id: each.id, result: await cache.discard(each) });
  print(output, results, (done) => done.map(({ id, result }) => `${id}: ${result}\n`).join(''));
  return !all && results.some(({ result }) => result === 'in-use') ? exitCode.failure : exitCode.ok;
}

async function verify(cache: ModelCache, names: readonly string[], output: OutputOptions, signal: AbortSignal): Promise<ExitCode> {
  const results: { id: string; damage: string | null }[] = [];
  for (const cached of names.length === 0 ? cache.list() : meant(cache, names))
    results.push({ id: cached.id, damage: (await damageOf(cached, signal)) ?? null });
  print(output, results, (done) => done.map(({ id, damage }) => `${id}: ${damage ?? 'whole'}\n`).join(''));
  return results.every(({ damage }) => damage === null) ? exitCode.ok : exitCode.failure;
}

const help = `
ls: what is there, and whether a gateway uses it.  rm: takes models away by id or source, never one in use; --all: all that nobody uses,
and downloads that are not whole.  verify: reads every file and compares it with what was fetched.

Examples:
  gateway cache ls -c configs/s3-model.yaml
  gateway cache rm s3://my-bucket/models/qwen-0.5b

Exit codes: 0 done, 1 in use, damaged or failure, 2 no such model, 4 config invalid.`;

/** Adds `gateway cache`. */
export function addCache(program: Command, run: Run): void {
  const command = program
    .command('cache')
    .description('list, take away or verify the models that were brought here')
    .addArgument(new Argument('<action>', 'what to do').choices(['ls', 'rm', 'verify']))
    .argument('[models...]', 'ids or sources')
    .option('-c, --config <file>', 'the config file (YAML) whose cache it is; repeat it for several; without one, the default cache', also)
    .option('--all', 'rm: all that nobody uses')
    .addHelpText('after', help);
  withOutput(command).action((action: 'ls' | 'rm' | 'verify', names: readonly string[], { config: files, ...output }: CacheOptions) =>
    run(() =>
      interruptible(async (signal) => {
        // Only here: what fetches models takes longer to load than most other verbs take.
        const { cacheHere, openStore } = await import('../app/model-store.ts');
        const { cache } = openStore(
          files === undefined ? cacheHere(process.env) : (await (await import('./load-config.ts')).loadConfigHere(files)).config,
        );
        switch (action) {
          case 'ls':
            return list(cache, output);
          case 'rm':
            return await remove(cache, names, output, signal);
          case 'verify':
            return await verify(cache, names, output, signal);
        }
      }),
    ),
  );
}
