import { setTimeout } from 'node:timers/promises';
import { Adapters } from './engine/adapters.ts';
import { daemonise, forkWorkers } from './engine/children.ts';
import { Crew } from './engine/crew.ts';
import { Faults } from './engine/faults.ts';
import { readFlags } from './engine/flags.ts';
import type { EngineFlags } from './engine/flags.ts';
import { startFlood } from './engine/flood.ts';
import { Journal } from './engine/journal.ts';
import { takeInnerPorts } from './engine/inner-ports.ts';
import { randomFrom } from './engine/random.ts';
import { createEngineServer } from './engine/server.ts';
import { Slots } from './engine/slots.ts';
import type { EngineState } from './engine/state.ts';
import { countSteps } from './engine/steps.ts';
import { stopOnSignals } from './engine/stop.ts';

/** Exit code for options that are not valid, as argument parsers of engines give it. */
const invalidOptions = 2;

const say = (line: string): boolean => process.stdout.write(`fake: ${line}\n`);

function fail(code: number, reason: string): never {
  say(`error: ${reason}`);
  process.exit(code);
}

function readOptions(): EngineFlags {
  try {
    return readFlags(process.argv.slice(2));
  } catch (error) {
    return fail(invalidOptions, `invalid argument: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Prints what was asked for, and ends where the settings say so. */
function boot({ settings, servedName }: EngineFlags): void {
  say(`starting, pid ${process.pid}`);
  for (const line of settings.log) process.stdout.write(`${line}\n`);
  if (settings.boot_error !== '') process.stdout.write(`${settings.boot_error}\n`);
  if (settings.boot_error !== '' || settings.exit_at === 'boot') process.exit(settings.exit_code);
  say(`loading model '${servedName}'`);
}

function createState(flags: EngineFlags, ending: AbortController): { readonly state: EngineState; readonly crew: Crew } {
  const crash = (): never => process.exit(faults.settings.exit_code);
  const faults = new Faults(flags.settings, crash);
  const workers = forkWorkers(flags.settings.fork);
  for (const worker of workers) {
    // An engine that lost a worker answers nothing more, though its HTTP server lives.
    worker.once('exit', () => {
      say(`worker ${worker.pid ?? 0} died`);
      faults.hang();
    });
  }
  const state = {
    servedName: flags.servedName,
    apiKey: process.env['FAKE_API_KEY'] || undefined,
    faults,
    slots: new Slots(() => faults.settings.max_num_seqs),
    journal: new Journal(),
    adapters: new Adapters(flags.adapters),
    random: randomFrom(flags.settings.seed),
    workers: workers.flatMap(({ pid }) => pid ?? []),
    daemon: flags.settings.daemonise ? daemonise().pid : undefined,
    ready: false,
    asleep: false,
    open: 0,
    byName: new Map(),
    ending: ending.signal,
    crash,
    onIdle: () => undefined,
    endWorkers: () => workers.forEach((worker) => void worker.kill('SIGKILL')),
  };
  return { state, crew: new Crew(workers, faults) };
}

async function main(): Promise<void> {
  // An engine goes on when the reader of its log has gone.
  process.stdout.on('error', () => undefined);
  const flags = readOptions();
  const { settings } = flags;
  boot(flags);
  const ending = new AbortController();
  const { state, crew } = createState(flags, ending);
  countSteps(state, crew);
  if (settings.log_flood_mb_s > 0) startFlood(settings.log_flood_mb_s, (bytes) => process.stdout.write(bytes));
  if (settings.exit_at !== 'never') globalThis.setTimeout(state.crash, Number(settings.exit_at) * 1000);
  const server = createEngineServer(state, (error) => say(`error: defect: ${error instanceof Error ? error.stack : String(error)}`));
  server.on('error', (error) => fail(1, error.message));
  stopOnSignals({ state, server, ending, graceMs: flags.stopGraceS * 1000, say });
  await setTimeout(settings.listen_after_s * 1000);
  await takeInnerPorts(flags, (error) => fail(1, error.message));
  await new Promise<void>((resolve) => server.listen(flags.port, flags.host, resolve));
  const address = server.address();
  say(`listening on http://${flags.host}:${typeof address === 'object' ? address?.port : flags.port}`);
  if (settings.ready_after_s > 0) say('warming up');
  await setTimeout(settings.ready_after_s * 1000);
  state.ready = true;
  say('ready');
}

await main();
