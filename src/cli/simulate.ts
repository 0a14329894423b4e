import { readFileSync, writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { z } from 'zod';
import { plot } from '../autoscale/plot.ts';
import { replay, type HistoryRecord } from '../autoscale/history.ts';
import { simulate, type GivesGpus, type SimulatedLoad, type SimulatedModelResult } from '../autoscale/simulate.ts';
import { readLoad, readTrace, requestsOf, type Trace } from '../autoscale/trace.ts';
import type { LoadedConfig } from '../config/load.ts';
import { GatewayError, messageOf } from '../core/errors.ts';
import type { GpuRequest } from '../supervisor/gpus/place.ts';
import { gpuRequest, replicaPlan } from '../supervisor/replica-plan.ts';
import { exitCode, type ExitCode } from './exit-code.ts';
import { loadConfigHere } from './load-config.ts';
import { printable } from './printable.ts';
import { simulatedGpus } from './simulated-gpus.ts';
import { csvOf, replayText, type SimulateReply, summaryOf, tableOf } from './simulate-text.ts';
import { type OutputOptions, print, type Run, withOutput } from './verb.ts';

interface SimulateOptions extends OutputOptions {
  readonly config?: readonly string[];
  readonly trace?: string;
  readonly load?: readonly string[];
  readonly history?: string;
  readonly coldStart?: readonly string[];
  readonly wake: string;
  readonly gpus?: string;
  readonly step: string;
  readonly csv?: string;
  readonly svg?: string;
}

const help = `
Runs the code that decides in a running gateway over requests in virtual time: how many replicas each model would have had, how long
requests would have waited, how often a replica would have been started, woken, or given up for another model. Nothing is launched.

--trace reads a table with the header time_s,model,duration_s and a line for each request. --load describes one instead, and can be
repeated: model=m,rps=5,duration=2s, and hours=1, wave=0 (how much the rate swings over a day, 0 to 1), seed=1. --cold-start says how
long a start takes: 60 for all, m=90 for one model; --wake the same for those that sleep (gateway.idle.sleep_s). With --gpus the models of
the load share so many cards of one kind, by the rules and the code of a running gateway; without, every replica finds what it needs. A gateway decides ten times a second, --step 0.1; a longer step is faster.
--history decides recorded decisions anew (gateway status --why --json) and fails if one comes out differently.

Examples:
  gateway simulate -c configs/autoscaling.yaml --load model=fake,rps=2,duration=2s,hours=24,wave=0.9 --svg day.svg
  gateway simulate -c config.yaml --trace requests.csv --cold-start 45 --csv replicas.csv
  gateway simulate -c configs/on-demand.yaml --gpus 1 --load model=code,rps=0.02,duration=4 --load model=translate,rps=0.02,duration=4
  gateway status --why --json > history.json && gateway simulate --history history.json

Exit codes: 0 done, 1 a recorded decision comes out differently, 2 usage, 4 config invalid.`;

/** @throws GatewayError `usage_invalid` for a file that cannot be read */
function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new GatewayError('usage_invalid', `${file} cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

function millisecondsOf(text: string, option: string): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (!Number.isFinite(value) || value < 0)
    throw new GatewayError('usage_invalid', `${option}: expected a number of seconds, got ${JSON.stringify(text)}`);
  return value * 1000;
}

const defaultColdStartMs = 30_000;

/** Cold start times by model, `''` for all others. */
function coldStarts(given: readonly string[] | undefined): (model: string) => number {
  const times = new Map(
    (given ?? []).map((text): [string, number] => {
      const at = text.lastIndexOf('=');
      return [at === -1 ? '' : text.slice(0, at), millisecondsOf(text.slice(at + 1), '--cold-start')];
    }),
  );
  return (model) => times.get(model) ?? times.get('') ?? defaultColdStartMs;
}

function traceOf({ trace, load }: SimulateOptions): Trace {
  if (trace !== undefined) return readTrace(textOf(trace), trace);
  const loads = (load ?? []).map(readLoad);
  const byModel = Map.groupBy(loads, ({ model }) => model);
  return new Map([...byModel].map(([model, all]) => [model, all.flatMap(requestsOf).sort((a, b) => a.atMs - b.atMs)]));
}

/** A model, its requests, and the GPUs that each of its replicas asks for. */
interface Simulated extends SimulatedLoad {
  readonly gpuRequest: GpuRequest;
}

type Given = Pick<SimulateOptions, 'coldStart' | 'wake' | 'step' | 'gpus'>;

/** @throws GatewayError `usage_invalid` for a model whose number of replicas does not follow its load */
function simulatedOf({ config, engines }: LoadedConfig, trace: Trace, given: Given): readonly Simulated[] {
  const coldStartMs = coldStarts(given.coldStart);
  const wakeMs = millisecondsOf(given.wake, '--wake');
  return [...trace].map(([name, requests]) => {
    const model = config.models.find((each) => each.name === name || each.aliases.includes(name));
    if (model?.autoscaling === undefined) {
      const scaled = config.models.filter(({ autoscaling }) => autoscaling !== undefined).map((each) => each.name);
      const why = model === undefined ? 'is not in the config' : 'has a fixed number of replicas';
      throw new GatewayError(
        'usage_invalid',
        `${name} ${why}; expected one that is scaled by load: ${scaled.join(', ') || 'there is none'}`,
      );
    }
    const plan = replicaPlan(model, config.engineCommands, engines);
    const asks = gpuRequest(0, plan);
    const slots = model.maxOngoing ?? plan.engine.concurrency;
    const gpus =
      given.gpus === undefined ? {} : { gpusEach: asks.gpus * asks.share, gpuNeed: `${asks.gpus} ${asks.share}`, priority: asks.priority };
    return { requests, gpuRequest: asks, model: { name, rule: model.autoscaling, slots, wakeMs, coldStartMs: coldStartMs(name), ...gpus } };
  });
}

/** @throws GatewayError `usage_invalid` for a number that is none, or too small for a model */
function gpusOf(gpus: string | undefined, models: readonly Simulated[]): GivesGpus | undefined {
  if (gpus === undefined) return undefined;
  const count = gpus.trim() === '' ? Number.NaN : Number(gpus);
  if (!Number.isInteger(count) || count < 0 || count > 1024)
    throw new GatewayError('usage_invalid', `--gpus: expected a whole number from 0 to 1024, got ${JSON.stringify(gpus)}`);
  const large = models.find(({ gpuRequest: asks }) => asks.gpus > count && !asks.optional);
  if (large !== undefined)
    throw new GatewayError(
      'usage_invalid',
      `--gpus: expected at least ${large.gpuRequest.gpus}, which each replica of ${large.model.name} needs, got ${count}`,
    );
  return simulatedGpus(count, new Map(models.map(({ model, gpuRequest: asks }) => [model.name, asks])));
}

function simulated(
  loaded: LoadedConfig,
  trace: Trace,
  given: Given,
): { readonly results: readonly SimulatedModelResult[]; readonly endMs: number } {
  const stepMs = Math.max(1, millisecondsOf(given.step, '--step'));
  let last = 0;
  for (const requests of trace.values()) for (const { atMs, durationMs } of requests) last = Math.max(last, atMs + durationMs);
  const models = simulatedOf(loaded, trace, given);
  // Long enough to see the last replica go, where the rule lets it.
  const tail = Math.max(
    0,
    ...models.map(({ model: { rule } }) => rule.lookBackMs + rule.downscaleDelayMs + (rule.min === 0 ? rule.toZero.ms : 0)),
  );
  const endMs = last + tail + 10 * stepMs;
  return { results: simulate(models, endMs, stepMs, gpusOf(given.gpus, models)), endMs };
}

async function overTrace(options: SimulateOptions): Promise<ExitCode> {
  if (options.config === undefined) throw new GatewayError('usage_invalid', 'expected --config with the file whose models are simulated');
  const loaded = await loadConfigHere(options.config);
  const trace = traceOf(options);
  const { results, endMs } = simulated(loaded, trace, options);
  if (options.csv !== undefined) writeFileSync(options.csv, csvOf(results));
  if (options.svg !== undefined) writeFileSync(options.svg, plot(results, endMs));
  const reply: SimulateReply = { endMs, models: results.map((result) => summaryOf(result, endMs)) };
  print(options, reply, (answer) => printable(tableOf(answer)));
  return exitCode.ok;
}

const historySchema = z.object({
  models: z.array(z.object({ model: z.string(), history: z.array(z.object({ kind: z.enum(['decision', 'intervention']) }).loose()) })),
});

function overHistory(file: string, output: OutputOptions): ExitCode {
  const parsed = historySchema.safeParse(JSON.parse(textOf(file)));
  if (!parsed.success) throw new GatewayError('usage_invalid', `${file}: expected what gateway status --why --json prints`);
  const models = parsed.data.models.map(({ model, history }) => {
    const records = history as unknown as readonly HistoryRecord[];
    return { model, decisions: records.filter(({ kind }) => kind === 'decision').length, differences: replay(records) };
  });
  print(output, { models }, (reply) => printable(replayText(reply.models)));
  return models.some(({ differences }) => differences.length > 0) ? exitCode.failure : exitCode.ok;
}

const also = (value: string, before: readonly string[] | undefined): readonly string[] => [...(before ?? []), value];

export function addSimulate(program: Command, run: Run): void {
  const command = program
    .command('simulate')
    .description('show how many replicas a load would get, in virtual time; or decide recorded decisions anew')
    .option('-c, --config <file...>', 'the config file (YAML), or several that are joined')
    .option('--trace <file>', 'requests as CSV: time_s,model,duration_s')
    .option('--load <text>', 'a load in words; repeat it for several', also)
    .option('--history <file>', 'what gateway status --why --json printed')
    .option('--cold-start <seconds>', 'how long a start takes, or model=seconds; repeat it for several (default: 30)', also)
    .option('--wake <seconds>', 'how long waking takes', '3')
    .option('--gpus <count>', 'the GPUs that all models share (default: as many as they need)')
    .option('--step <seconds>', 'time between two decisions', '1')
    .option('--csv <file>', 'write every change as CSV')
    .option('--svg <file>', 'write a plot')
    .addHelpText('after', help);
  withOutput(command).action((options: SimulateOptions) =>
    run(async () => {
      const given = [options.trace, options.load, options.history].filter((source) => source !== undefined);
      if (given.length !== 1) throw new GatewayError('usage_invalid', 'expected one of --trace, --load and --history');
      return options.history === undefined ? overTrace(options) : overHistory(options.history, options);
    }),
  );
}
