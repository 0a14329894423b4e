/** Process entry of `npm run soak`; `docs/benchmarks.md` says what it does and what must hold. */
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { alignColumns } from '../report/table.ts';
import { meetClosingConnections } from './keep-alive.ts';
import { parseOptions, usage } from './options.ts';
import { soak } from './soak.ts';

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

/** 18 s between two kills: as many as ten replicas bear without a crash loop. */
const killEveryMs = 18_000;
const shownFailures = 10;

const load = (): string => loadavg()[0]?.toFixed(2) ?? '?';
const verdict = (holds: boolean | undefined): string => (holds === undefined ? '' : holds ? 'ok' : 'FAILED');

async function main(argv: readonly string[]): Promise<number> {
  const { minutes, seed, keepAlive } = parseOptions(argv);
  if (process.platform !== 'linux') throw new Error(`the soak finds its processes in /proc: it runs on Linux, not on ${process.platform}`);
  const interrupted = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => interrupted.abort(new Error(`stopped by ${name}`)));
  }
  process.stdout.on('error', (error) => interrupted.abort(error));
  const dir = await mkdtemp(join(tmpdir(), 'roundhouse-soak-'));
  try {
    const at = new Date().toISOString().slice(0, 10);
    say(`${at}, Node ${process.versions.node}, ${availableParallelism()} cores, load ${load()}; seed ${seed}`);
    const common = { seed, dir, signal: interrupted.signal, say };
    const { findings, failures } =
      keepAlive === undefined
        ? await soak({ ...common, durationMs: minutes * 60_000, killEveryMs })
        : await meetClosingConnections({ ...common, requests: keepAlive });
    say('');
    for (const line of alignColumns(findings.map(({ what, value, holds }) => [what, value, verdict(holds)]))) say(line);
    for (const { ask, end, status, detail } of failures.slice(0, shownFailures))
      say(`${end}, status ${status}, at ${Math.round(ask.atMs)} ms, ${ask.model}, ${ask.manner.kind}: ${detail}`);
    say(`load ${load()}`);
    return findings.every(({ holds }) => holds !== false) ? 0 : 1;
  } catch (error) {
    // What an abort breaks off fails in many ways; all of them mean this.
    if (interrupted.signal.aborted) throw interrupted.signal.reason;
    throw error;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`soak: ${error instanceof Error ? error.message : String(error)}\n`);
  if (error instanceof TypeError) process.stderr.write(`${usage}\n`);
  process.exitCode = 1;
}
