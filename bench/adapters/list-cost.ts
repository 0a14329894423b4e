import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { median } from '../measure/statistics.ts';
import { bucketServer } from './bucket-server.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

export interface ListCost {
  /** Milliseconds from the ready gateway to a list that has every adapter. */
  readonly firstMs: number;
  /** `GET /v1/models` after that, median. */
  readonly laterMs: number;
  /** Resident memory of the gateway after all that, in bytes. */
  readonly rssBytes: number;
}

/** Lists a model whose bucket has so many adapters. `dir`: for the gateway's files. @throws the signal's reason */
export async function listCost(adapters: number, rounds: number, dir: string, signal: AbortSignal): Promise<ListCost> {
  const bucket = await bucketServer(adapters);
  const file = join(dir, `adapters-${adapters}.json`);
  const lora_config = { dynamic_lora_loading_path: 's3://anonymous@bucket/loras', refresh_s: 2 };
  const gateway = { listen: { port: 0 }, admin: { port: 0 }, workers: 1, state_dir: join(dir, `adapters-${adapters}`) };
  const entry = { model_loading_config: { model_id: 'm' }, llm_engine: 'fake', lora_config };
  await writeFile(file, JSON.stringify({ llm_configs: [entry], gateway }));
  const env = { ...process.env, AWS_ENDPOINT_URL: bucket.url, AWS_REGION: 'us-east-1' };
  const child = spawn(process.execPath, [main, 'start', '-c', file], { env, stdio: ['ignore', 'pipe', 'ignore'], signal });
  child.on('error', () => undefined);
  try {
    const url = await readyUrl(child);
    const began = performance.now();
    while ((await countOf(url)) <= adapters) await sleep(20, undefined, { signal });
    const firstMs = performance.now() - began;
    const later: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const at = performance.now();
      await countOf(url);
      later.push(performance.now() - at);
      // Over several looks at the bucket.
      await sleep(200, undefined, { signal });
    }
    return { firstMs, laterMs: median(later), rssBytes: await rssOf(child.pid ?? 0) };
  } finally {
    const ended = once(child, 'exit');
    if (child.exitCode === null && child.kill('SIGINT')) await ended;
    await bucket.close();
  }
}

async function readyUrl(child: ChildProcess): Promise<string> {
  let said = '';
  for await (const chunk of child.stdout ?? []) {
    said += String(chunk);
    const url = /Ready at (\S+)/.exec(said)?.[1];
    if (url !== undefined) return url;
  }
  throw new Error(`the gateway did not start: ${said}`);
}

/** Entries of the list of models. */
async function countOf(url: string): Promise<number> {
  const list = (await (await fetch(`${url}/v1/models`)).json()) as { data: unknown[] };
  return list.data.length;
}

async function rssOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
}
