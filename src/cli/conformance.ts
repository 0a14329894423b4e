import { type Command, InvalidArgumentError } from 'commander';
import type { StatusReply } from '../admin/api.ts';
import { passed, runScenarios, type ScenarioResult, scenarios } from '../conformance/run.ts';
import type { Scenario } from '../conformance/scenario.ts';
import { systemClock } from '../core/clock.ts';
import { GatewayError } from '../core/errors.ts';
import { requestsOf } from '../supervisor/report.ts';
import { adminVerb, askAdmin, stateDirOf, type Where } from './admin-client.ts';
import { conformanceLine } from './conformance-table.ts';
import { exitCode } from './exit-code.ts';
import { readKeyFile } from './key-file.ts';
import { print, type Run } from './verb.ts';

interface ConformanceOptions extends Where {
  readonly model: string;
  readonly url?: string;
  readonly adapter?: string;
  readonly apiKeyFile?: string;
  readonly only?: readonly string[];
  readonly require?: readonly string[];
  readonly timeout: number;
}

/** What `--json` prints. */
export interface ConformanceReport {
  readonly model: string;
  readonly url: string;
  /** As the config names it; undefined where the gateway's admin socket was not reached. */
  readonly engine: string | undefined;
  readonly passed: boolean;
  readonly results: readonly ScenarioResult[];
}

const names = scenarios.map(({ name }) => name);

function readNames(text: string): readonly string[] {
  const given = text.split(',').map((name) => name.trim());
  const unknown = given.filter((name) => !names.includes(name));
  if (unknown.length > 0) throw new InvalidArgumentError(`unknown: ${unknown.join(', ')}; expected some of ${names.join(', ')}.`);
  return given;
}

function readSeconds(text: string): number {
  if (!/^\d+$/.test(text) || Number(text) === 0) throw new InvalidArgumentError('expected whole seconds, at least 1.');
  return Number(text);
}

const help = `
Scenarios: ${names.join(', ')}.

"works" was seen to work; "does not" was answered, and not as it should be; "not shown": this engine, model or call gives no occasion, and why.
Exit codes: 0 all that every model must do works, and all that --require names; 1 something of that does not.`;

/** `conformance`: what clients rely on, tried on a running gateway. */
export function addConformance(program: Command, run: Run): void {
  adminVerb(program, 'conformance', 'try on a running gateway, request by request, what clients of a model rely on', '--model my-model')
    .requiredOption('--model <id>', 'the model, as clients name it')
    .option('--url <url>', 'where its API is, with the route prefix and without /v1 (default: as the gateway says)')
    .option('--adapter <id>', 'a LoRA adapter of the model, as clients name it')
    .option('--api-key-file <file>', 'a file with the key that clients send')
    .option('--only <names>', 'these scenarios only, with commas between', readNames)
    .option('--require <names>', 'scenarios that must be seen to work', readNames)
    .option('--timeout <seconds>', 'longest wait for one reply', readSeconds, 120)
    .addHelpText('after', help)
    .action((options: ConformanceOptions) => run(async () => ((await conform(options)) ? exitCode.ok : exitCode.failure)));
}

async function conform(options: ConformanceOptions): Promise<boolean> {
  const { model, adapter } = options;
  const stateDir = await stateDirOf(options);
  const status = await statusOf(stateDir, options.url);
  const url = (options.url ?? `http://127.0.0.1:${status?.dataPort ?? 0}`).replace(/\/+$/, '');
  // Only here: the HTTP client behind it takes longer to load than most other verbs take.
  const { Api } = await import('../conformance/api.ts');
  const api = new Api({ url, timeoutMs: options.timeout * 1000, ...keyOf(options) });
  const inFlight = async (): Promise<number> =>
    requestsOf((await askAdmin<StatusReply>(stateDir, { method: 'GET', path: '/api/status' })).models);
  const known = status?.models.find(({ name }) => name === model);
  const subject = {
    api,
    model,
    clock: systemClock,
    ...(adapter === undefined ? {} : { adapter }),
    ...(status === undefined ? {} : { inFlight }),
  };
  const chosen: readonly Scenario[] = scenarios.filter(({ name }) => options.only?.includes(name) ?? true);
  const obligatory = new Set(options.require);
  const shown = options.json !== true && options.quiet !== true;
  try {
    const results = await runScenarios(subject, chosen, obligatory, (result) => {
      if (shown) process.stdout.write(conformanceLine(result));
    });
    const report: ConformanceReport = { model, url, engine: known?.engine, passed: passed(results, obligatory), results };
    print(options, report, ({ passed: ok }) => `${ok ? 'Conforms' : 'Does not conform'}: ${model} at ${url}\n`);
    return report.passed;
  } finally {
    await api.close();
  }
}

/** Another machine's gateway has no socket here: with its URL given, all but the abort can be tried. */
async function statusOf(stateDir: string, url: string | undefined): Promise<StatusReply | undefined> {
  try {
    return await askAdmin<StatusReply>(stateDir, { method: 'GET', path: '/api/status' });
  } catch (error) {
    if (url !== undefined && error instanceof GatewayError && error.code === 'not_running') return undefined;
    throw error;
  }
}

function keyOf({ apiKeyFile }: ConformanceOptions): { readonly apiKey?: string } {
  const apiKey = readKeyFile(apiKeyFile);
  return apiKey === undefined ? {} : { apiKey };
}
