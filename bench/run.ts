/** Process entry of `npm run bench`; `docs/benchmarks.md` says what is measured and how. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { adaptersReport, loadsReport } from './adapters/report.ts';
import { configReport } from './config/report.ts';
import { inputReport } from './input/report.ts';
import { keysReport } from './keys/report.ts';
import { GeneratorClient } from './load/generator-client.ts';
import { enginesReport } from './engines/report.ts';
import { routingReport } from './routing/report.ts';
import { parseOptions, usage, type GroupName, type Options } from './options.ts';
import { busiestThread } from './profile.ts';
import { manyStreams } from './many-streams.ts';
import type { Measurements } from './report/measurements.ts';
import { resultTable } from './report/table.ts';
import { verdicts } from './report/verdict.ts';
import { fullPace, latency, memory, quickPace, requests, streams, warmUp, type Bench } from './scenarios.ts';
import { Cleanup } from './systems/cleanup.ts';
import { simulateReport } from './simulate/report.ts';
import { supervisorReport } from './supervisor/report.ts';
import { compilePackage, sourceEntry } from './systems/package.ts';
import { startSystems } from './systems/start.ts';
import { systemTitles, type System } from './systems/system.ts';
import { weightsReport } from './weights/report.ts';

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

type Report = (quick: boolean, dir: string, signal: AbortSignal) => readonly string[] | Promise<readonly string[]>;

/** Groups for which no system runs, or one of their own, in their order. */
const reports: readonly (readonly [GroupName, Report])[] = [
  ['routing', () => routingReport()],
  ['engines', () => enginesReport()],
  ['keys', () => keysReport()],
  ['input', () => inputReport()],
  ['supervisor', supervisorReport],
  ['adapters', adaptersReport],
  ['adapters', (quick, _dir, signal) => loadsReport(quick, signal)],
  ['config', configReport],
  ['simulate', simulateReport],
  ['weights', weightsReport],
];
const alone: ReadonlySet<GroupName> = new Set(reports.map(([group]) => group));
const manyWorkers = 2;

const ofOneWorker = ({ groups }: Options): readonly GroupName[] => [...groups].filter((group) => !alone.has(group) && group !== 'many');

async function measure(bench: Bench, options: Options): Promise<void> {
  const { groups } = options;
  // Memory first: it is that of processes that have served nothing yet.
  if (groups.has('memory')) await memory(bench);
  if (ofOneWorker(options).some((group) => group !== 'memory')) await warmUp(bench);
  if (groups.has('1k')) await requests(bench, '1k');
  if (groups.has('32k')) {
    await requests(bench, '32k-one');
    await requests(bench, '32k-many');
  }
  if (groups.has('stream')) await streams(bench);
  if (groups.has('latency')) await latency(bench);
}

async function measureMany(bench: Bench): Promise<void> {
  await warmUp(bench);
  await manyStreams(bench);
}

function machine(systems: readonly System[]): string {
  const versions = systems.map(({ name, version }) => `${systemTitles[name]} ${version}`).join(', ');
  const load = loadavg()[0]?.toFixed(2) ?? '?';
  return `${new Date().toISOString().slice(0, 10)}, Node ${process.versions.node}, ${availableParallelism()} cores, load ${load}; ${versions}`;
}

interface Run {
  readonly options: Options;
  readonly dir: string;
  readonly signal: AbortSignal;
  readonly results: Measurements;
  /** The gateway's main module. */
  readonly gatewayEntry: string;
}

/** Starts the systems, measures, and stops them. @returns what they are */
async function withSystems(
  { options, dir, signal, results, gatewayEntry }: Run,
  workers: number,
  work: (bench: Bench) => Promise<void>,
): Promise<string> {
  const cleanup = new Cleanup();
  try {
    const { systems, upstreamPort } = await startSystems({
      options,
      dir,
      cleanup,
      signal,
      workers,
      gatewayEntry,
      say,
      nodeFlags: () => [],
    });
    const generator = await GeneratorClient.start(signal);
    cleanup.add(() => generator.stop());
    const about = machine(systems);
    say(about);
    await work({ systems, upstreamPort, generator, pace: options.quick ? quickPace : fullPace, signal, results, say });
    return about;
  } finally {
    await cleanup.run();
  }
}

async function measureAll(options: Options, dir: string, signal: AbortSignal): Promise<void> {
  for (const [group, report] of reports)
    if (options.groups.has(group)) for (const line of [...(await report(options.quick, dir, signal)), '']) say(line);
  if (ofOneWorker(options).length === 0 && !options.groups.has('many')) return;
  // As users run it who install it; it takes memory to strip types.
  const gatewayEntry = await compilePackage(join(dir, 'package'), signal);
  const run: Run = { options, dir, signal, results: new Map(), gatewayEntry };
  const about: string[] = [];
  if (ofOneWorker(options).length > 0) about.push(await withSystems(run, 1, (bench) => measure(bench, options)));
  if (options.groups.has('many')) about.push(await withSystems({ ...run, dir: join(dir, 'many') }, manyWorkers, measureMany));
  for (const line of ['', ...resultTable(run.results), '', ...verdicts(run.results)]) say(line);
  if (options.jsonFile === undefined) return;
  const results = Object.fromEntries([...run.results].map(([metric, bySystem]) => [metric, Object.fromEntries(bySystem)]));
  await writeFile(options.jsonFile, `${JSON.stringify({ about, results }, undefined, 2)}\n`);
}

/** Puts load on the relay and on the gateway while V8 profiles them; a profile is written when its process ends. */
async function profile(options: Options, profileDir: string, dir: string, cleanup: Cleanup, signal: AbortSignal): Promise<void> {
  // A folder of its own for every run: profiles are for looking at before and after a change.
  const run = new Date().toISOString().slice(0, 19).replaceAll(':', '');
  const dirOf = (name: string): string => join(resolve(profileDir), `${name}-${run}`);
  const nodeFlags = (name: string): readonly string[] => ['--cpu-prof', `--cpu-prof-dir=${dirOf(name)}`];
  const { systems, upstreamPort } = await startSystems({
    options,
    dir,
    cleanup,
    signal,
    workers: 1,
    // A profile names lines, which are to be those of the sources.
    gatewayEntry: sourceEntry,
    say,
    nodeFlags,
  });
  const generator = await GeneratorClient.start(signal);
  cleanup.add(() => generator.stop());
  const bench: Bench = {
    systems,
    upstreamPort,
    generator,
    pace: { ...quickPace, rounds: 2, roundMs: 2000 },
    signal,
    results: new Map(),
    say,
  };
  await measure(bench, options);
  await cleanup.run();
  for (const { name } of systems.filter((system) => system.name !== 'nginx')) {
    for (const line of ['', systemTitles[name], ...(await busiestThread(dirOf(name)))]) say(line);
  }
}

async function main(argv: readonly string[]): Promise<number> {
  const options = parseOptions(argv);
  if (process.platform !== 'linux')
    throw new Error(`the benchmark reads CPU time from /proc: it runs on Linux, not on ${process.platform}`);
  const interrupted = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => interrupted.abort(new Error(`stopped by ${name}`)));
  }
  // A reader that leaves (`| head`) ends the run like a signal: unheard, the error would leave the systems running.
  process.stdout.on('error', (error) => interrupted.abort(error));
  const dir = await mkdtemp(join(tmpdir(), 'roundhouse-bench-'));
  const cleanup = new Cleanup();
  cleanup.add(() => rm(dir, { recursive: true, force: true }));
  try {
    if (options.profileDir === undefined) await measureAll(options, dir, interrupted.signal);
    else await profile(options, options.profileDir, dir, cleanup, interrupted.signal);
    return 0;
  } catch (error) {
    // What an abort breaks off fails in many ways; all of them mean this.
    if (interrupted.signal.aborted) throw interrupted.signal.reason;
    throw error;
  } finally {
    await cleanup.run();
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  if (error instanceof TypeError) process.stderr.write(`${usage}\n`);
  process.exitCode = 1;
}
