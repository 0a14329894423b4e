import { pino } from 'pino';
import { LoadBoard } from '../../../src/core/board.ts';
import { systemClock } from '../../../src/core/clock.ts';
import type { ModelConfig } from '../../../src/config/config.ts';
import { fake } from '../../../src/plugins/fake/index.ts';
import { LocalProvider } from '../../../src/supervisor/providers/local.ts';
import { Supervisor } from '../../../src/supervisor/supervisor.ts';
import { testPorts } from './real.ts';

/**
 * A gateway to be killed: `argv[2]` is its state directory, `argv[3]` its models as JSON. Prints the pids of its engines once all are in
 * state `argv[4]`, and stays; at SIGTERM it leaves its engines running and ends.
 */
const [stateDir = '', models = '[]', until = 'ready'] = process.argv.slice(2);
const config = JSON.parse(models) as readonly ModelConfig[];
const log = pino({ level: 'silent' });
const provider = new LocalProvider({ clock: systemClock, log, random: Math.random, env: process.env, stateDir, enginePorts: testPorts });
const supervisor: Supervisor = new Supervisor({
  clock: systemClock,
  provider,
  engines: new Map([[fake.name, fake]]),
  board: LoadBoard.create(1, 64),
  publish: () => queueMicrotask(() => supervisor.applied()),
  appliedVersion: () => Number.MAX_SAFE_INTEGER,
  log,
  random: Math.random,
  wallClockSeconds: () => 1_700_000_000,
});
const stay = setInterval(() => undefined, 60_000);
const unsubscribe = supervisor.subscribe(() => {
  const replicas = supervisor.status().flatMap((model) => model.replicas);
  if (!replicas.every(({ phase, pid }) => phase === until && pid !== undefined) || replicas.length === 0) return;
  unsubscribe();
  process.stdout.write(`${JSON.stringify(replicas.map(({ pid }) => pid))}\n`);
});
process.once('SIGTERM', () => {
  clearInterval(stay);
  void supervisor.stop(0, new AbortController().signal, { keepEngines: true });
});
supervisor.apply({ models: config, apps: new Map(), engineCommands: new Map() });
