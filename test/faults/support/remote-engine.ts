import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import type { StateReport } from '../../../src/plugins/fake/engine/control.ts';

/** A fake engine that a gateway started, asked and changed past it. */
export interface RemoteEngine {
  readonly pid: number;
  state(): Promise<StateReport>;
  /** Changes settings at run time. */
  control(change: Readonly<Record<string, unknown>>): Promise<StateReport>;
  /** POSTs to another route of its own. */
  call(path: string): Promise<void>;
}

/** Its key is random: it stands only in its environment. */
async function keyOf(pid: number): Promise<string> {
  const environment = (await readFile(`/proc/${pid}/environ`, 'utf8')).split('\0');
  const key = environment.find((line) => line.startsWith('FAKE_API_KEY='))?.slice('FAKE_API_KEY='.length);
  assert.ok(key !== undefined, `process ${pid} has a key`);
  return key;
}

/** `upstream`: its origin. */
export async function remoteEngine(pid: number, upstream: string): Promise<RemoteEngine> {
  const headers = { authorization: `Bearer ${await keyOf(pid)}` };
  const report = async (path: string, init: RequestInit = {}): Promise<StateReport> => {
    const response = await fetch(upstream + path, { ...init, headers });
    const text = await response.text();
    assert.equal(response.status, 200, text);
    return JSON.parse(text) as StateReport;
  };
  return {
    pid,
    state: () => report('/fake/state'),
    call: async (path) => {
      const response = await fetch(upstream + path, { method: 'POST', headers });
      assert.equal(response.status, 200, await response.text());
    },
    control: (change) => report('/fake/control', { method: 'POST', body: JSON.stringify(change) }),
  };
}
