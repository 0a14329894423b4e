import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { plot } from '../src/autoscale/plot.ts';
import type { Sample } from '../src/autoscale/simulate.ts';

/**
 * A real engine from none to three replicas and back to none, under a scripted load: node bench/autoscaling.ts --svg docs/autoscaling.svg
 * Prints what each request came to, and what the first one waited beyond the engine's own start. Needs .quickstart (npm start fetches it).
 */

const root = join(import.meta.dirname, '..');
const name = 'smollm2-135m';
const rule = {
  min_replicas: 0,
  max_replicas: 3,
  target_ongoing_requests: 2,
  look_back_period_s: 1,
  upscale_delay_s: 2,
  downscale_delay_s: 6,
};
/** Clients that ask again and again, and for how long. */
const phases = [
  { clients: 1, forMs: 6000 },
  { clients: 7, forMs: 25_000 },
  { clients: 1, forMs: 20_000 },
] as const;
const idleStopS = 8;
const sampleMs = 100;
const longestMs = 120_000;

const config = {
  llm_configs: [
    {
      model_loading_config: { model_id: name, model_source: join(root, '.quickstart/smollm2-135m-instruct-q4_1.gguf') },
      llm_engine: 'llamacpp',
      engine_kwargs: { threads: 1, threads_batch: 1, parallel: 2, ctx_size: 2048 },
      deployment_config: { autoscaling_config: rule },
      gateway: { idle: { stop_s: idleStopS } },
    },
  ],
};

interface Line {
  readonly time: number;
  readonly msg: string;
  readonly replica?: string;
}

interface Running {
  readonly url: string;
  readonly admin: string;
  readonly lines: readonly Line[];
  stop(): Promise<void>;
}

async function startGateway(dir: string): Promise<Running> {
  const file = join(dir, 'config.yaml');
  const gateway = {
    listen: { port: 0 },
    admin: { port: 0 },
    state_dir: join(dir, 'state'),
    engines: { llamacpp: { command: join(root, '.quickstart/llama-server') } },
  };
  writeFileSync(file, JSON.stringify({ ...config, gateway }));
  const child = spawn(process.execPath, [join(root, 'src/main.ts'), 'start', '-c', file], { stdio: ['ignore', 'pipe', 'pipe'] });
  const exited = once(child, 'exit');
  const lines: Line[] = [];
  let rest = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    const parts = (rest + chunk).split('\n');
    rest = parts.pop() ?? '';
    for (const part of parts) if (part.startsWith('{')) lines.push(JSON.parse(part) as Line);
  });
  let output = '';
  for await (const chunk of child.stdout.setEncoding('utf8').iterator({ destroyOnReturn: false }) as AsyncIterable<string>) {
    output += chunk;
    if (output.includes('/metrics)')) break;
  }
  child.stdout.resume();
  const found = /(?:Ready|Listening) at (\S+)\s+\(metrics: (\S+)\/metrics\)/.exec(output);
  if (found === null) throw new Error(`the gateway did not say where it listens:\n${output}`);
  return {
    url: found[1] ?? '',
    admin: found[2] ?? '',
    lines,
    stop: async () => {
      child.kill('SIGTERM');
      await exited;
    },
  };
}

interface Asked {
  readonly status: number;
  readonly sentAt: number;
  readonly ms: number;
  /** The engine's part of it, by the gateway's own `Server-Timing`. */
  readonly upstreamMs: number;
}

async function ask(url: string, tokens: number): Promise<Asked> {
  const sentAt = Date.now();
  const body = JSON.stringify({ model: name, messages: [{ role: 'user', content: 'Count.' }], max_tokens: tokens });
  const reply = await fetch(`${url}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  await reply.arrayBuffer();
  const upstream = /upstream;dur=([\d.]+)/.exec(reply.headers.get('server-timing') ?? '')?.[1];
  return { status: reply.status, sentAt, ms: Date.now() - sentAt, upstreamMs: Math.round(Number(upstream)) };
}

interface Status {
  readonly models: readonly {
    readonly desired: number;
    readonly waiting: number;
    readonly replicas: readonly { readonly state: string; readonly inFlight: number; readonly upstream?: string }[];
  }[];
}

async function look(admin: string, startedAt: number): Promise<Sample> {
  const { models } = (await (await fetch(`${admin}/api/status`)).json()) as Status;
  const { desired: wanted = 0, waiting = 0, replicas = [] } = models[0] ?? {};
  return {
    atMs: Date.now() - startedAt,
    wanted,
    running: replicas.filter(({ state }) => state === 'ready').length,
    waiting,
    inFlight: replicas.reduce((sum, { inFlight }) => sum + inFlight, 0),
  };
}

async function keepAsking(url: string, untilMs: number, asked: Asked[]): Promise<void> {
  while (Date.now() < untilMs) asked.push(await ask(url, 24));
}

/** Looks until nothing is left, or time is up. */
async function watch(admin: string, startedAt: number, loaded: () => boolean, samples: Sample[]): Promise<void> {
  while (Date.now() - startedAt < longestMs) {
    const sample = await look(admin, startedAt);
    samples.push(sample);
    if (!loaded() && sample.wanted === 0 && sample.running === 0) return;
    await sleep(sampleMs);
  }
  throw new Error(`replicas are left ${longestMs / 1000} s after the start`);
}

/** When the engine of the only replica first says that it is ready, seen past the gateway. */
async function engineReadyAt(admin: string): Promise<number> {
  for (;;) {
    const { models } = (await (await fetch(`${admin}/api/status`)).json()) as Status;
    const upstream = models[0]?.replicas[0]?.upstream;
    const health = upstream === undefined ? undefined : await fetch(`${upstream}/health`).catch(() => undefined);
    await health?.arrayBuffer();
    if (health?.status === 200) return Date.now();
    await sleep(5);
  }
}

/** What the first request waited beyond the engine's own start and the time that the engine, still cold, took for it. */
async function coldStart({ url, admin, lines }: Running): Promise<string> {
  const readyAt = engineReadyAt(admin);
  const first = await ask(url, 1);
  const warm = await ask(url, 1);
  const at = (word: string): number => lines.find(({ msg, replica }) => replica === `${name}-0` && msg === `replica is ${word}`)?.time ?? 0;
  const engineMs = (await readyAt) - at('starting');
  const seenMs = at('ready') - (await readyAt);
  const added = first.ms - engineMs - first.upstreamMs;
  return [
    `cold start: ${first.ms} ms, of which the engine's own start ${engineMs} ms and its answer ${first.upstreamMs} ms (${warm.upstreamMs} ms when warm);`,
    `added ${added} ms (launched ${at('starting') - first.sentAt} ms after the request was sent, seen to be ready ${seenMs} ms after it was)`,
  ].join(' ');
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { svg: { type: 'string' } } });
  const dir = mkdtempSync(join(tmpdir(), 'roundhouse-autoscaling-'));
  const gateway = await startGateway(dir);
  try {
    const startedAt = Date.now();
    const samples: Sample[] = [];
    const asked: Asked[] = [];
    let loading = true;
    const watching = watch(gateway.admin, startedAt, () => loading, samples);
    const added = await coldStart(gateway);
    for (const { clients, forMs } of phases) {
      const untilMs = Date.now() + forMs;
      await Promise.all(Array.from({ length: clients }, () => keepAsking(gateway.url, untilMs, asked)));
    }
    loading = false;
    await watching;
    const failed = asked.filter(({ status }) => status !== 200);
    const path = (count: (sample: Sample) => number): string =>
      samples
        .map(count)
        .filter((value, index, all) => value !== all[index - 1])
        .join(' → ');
    process.stdout.write(`${added}\n${asked.length + 2} requests, ${failed.length} failed\n`);
    process.stdout.write(`replicas wanted: ${path(({ wanted }) => wanted)}; that serve: ${path(({ running }) => running)}\n`);
    if (values.svg !== undefined) writeFileSync(values.svg, plot([{ name, samples }], samples.at(-1)?.atMs ?? 0));
    if (failed.length > 0) process.exitCode = 1;
  } finally {
    await gateway.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

await main();
