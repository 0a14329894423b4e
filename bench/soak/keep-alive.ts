import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent } from 'undici';
import { randomFrom } from '../../src/plugins/fake/engine/random.ts';
import { freePort, Launched, untilAnswering } from '../systems/process.ts';
import { carryOut, type Outcome } from './client.ts';
import { entry, gatewaySection, series } from './gateway.ts';
import type { Finding } from './judge.ts';
import type { SoakReport } from './soak.ts';

export interface KeepAliveOptions {
  readonly seed: number;
  readonly requests: number;
  /** A folder for the gateway's state, which the caller removes. */
  readonly dir: string;
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
}

/** The engine closes a connection that has been idle for so long, and does not say so beforehand. */
const keepAliveMs = 1000;
/** A wave comes that much before or after that: those that were answered first have been idle for longer. */
const pause = { least: keepAliveMs - 200, most: keepAliveMs + 20 };
const wave = 250;

function config(listen: number, admin: number, stateDir: string): string {
  const kwargs = { keep_alive_ms: keepAliveMs, no_keep_alive_hint: true, max_num_seqs: wave };
  return JSON.stringify({
    llm_configs: [{ model_loading_config: { model_id: 'm' }, llm_engine: 'fake', engine_kwargs: kwargs }],
    gateway: gatewaySection(listen, admin, stateDir),
  });
}

/** Sends waves of requests about when the engine closes the connections of the last one. @throws Error when the gateway does not start */
export async function meetClosingConnections(options: KeepAliveOptions): Promise<SoakReport> {
  const { seed, requests, dir, signal, say } = options;
  await mkdir(dir, { recursive: true });
  const [listen, admin] = [await freePort(), await freePort()];
  const file = join(dir, 'gateway.yaml');
  // JSON is YAML.
  await writeFile(file, config(listen, admin, join(dir, 'state')));
  const launched = await Launched.start('roundhouse', [process.execPath, entry, 'start', '-c', file], { ipc: false });
  const url = `http://127.0.0.1:${listen}`;
  // A connection for each request: the client's own must not be closed under it.
  const agent = new Agent({ pipelining: 0 });
  try {
    await untilAnswering(`${url}/ready`, launched, signal);
    const outcomes = await waves(requests, randomFrom(seed), { url, agent, signal, say });
    const page = await (await fetch(`http://127.0.0.1:${admin}/metrics`)).text();
    const retries = series(page, 'roundhouse_retries_total').reduce((sum, [, value]) => sum + value, 0);
    const failures = outcomes.filter(({ end }) => end !== 'complete');
    return { findings: judge(outcomes.length, failures.length, retries), failures };
  } finally {
    await agent.destroy();
    await launched.stop(30_000);
  }
}

async function waves(
  requests: number,
  random: () => number,
  { url, agent, signal, say }: { url: string; agent: Agent; signal: AbortSignal; say: (line: string) => void },
): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  const ask = { atMs: 0, model: 'm', tokens: 1, manner: { kind: 'whole' } } as const;
  while (outcomes.length < requests) {
    outcomes.push(...(await Promise.all(Array.from({ length: wave }, (_, at) => carryOut(ask, `w${at}`, url, agent)))));
    if (outcomes.length % (40 * wave) === 0) say(`${outcomes.length} requests`);
    await sleep(pause.least + (pause.most - pause.least) * random(), undefined, { signal });
  }
  return outcomes;
}

function judge(requests: number, failures: number, retries: number): readonly Finding[] {
  return [
    { what: 'requests', value: String(requests) },
    { what: 'sent twice, as their connection was being closed', value: String(retries), holds: retries > 0 },
    { what: 'errors that clients saw', value: String(failures), holds: failures === 0 },
  ];
}
