import { once } from 'node:events';
import { createServer } from 'node:net';

/** Below what the system gives out itself, above the gateway's default range and that of the supervisor's tests. */
const range = { first: 29_500, last: 32_000 } as const;

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen({ port, host: '127.0.0.1', exclusive: true });
  const free = await once(server, 'listening').then(
    () => true,
    () => false,
  );
  server.close();
  return free;
}

/** The first of `count` consecutive ports that are free now. @throws Error if there are none */
export async function adjacentPorts(count: number): Promise<number> {
  const offset = (process.pid * 7) % (range.last - range.first);
  for (let tried = 0; tried < range.last - range.first; tried += 1) {
    const first = range.first + ((offset + tried) % (range.last - range.first));
    const all = await Promise.all(Array.from({ length: count }, (_, index) => isFree(first + index)));
    if (all.every(Boolean)) return first;
  }
  throw new Error(`no ${count} free ports side by side from ${range.first} to ${range.last}`);
}
