import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import {
  fakeModel,
  type GatewayOptions,
  type GatewayProcess,
  type ModelStatusReport,
  startGateway,
} from '../../support/gateway-process.ts';
import { until } from '../../support/until.ts';
import type { RowNumber } from './catalogue.ts';
import { CountingClient, type Reply, type Stream } from './client.ts';
import { assertFlat } from './memory.ts';
import { askedText, type Oracle } from './oracle.ts';
import { type RemoteEngine, remoteEngine } from './remote-engine.ts';
import { assertGone, assertQuiet, descriptors, patienceMs } from './oracles.ts';
export { patienceMs } from './oracles.ts';
import type { Subject } from './subject.ts';
import { titleOf } from './title.ts';

/** A gateway under a fault. */
export interface Victim extends GatewayProcess {
  readonly ask: (model: string, more?: object) => Promise<Reply>;
  readonly get: (path: string) => Promise<Reply>;
  readonly stream: (model: string, more?: object) => Promise<Stream>;
  /** Sends a request whose reply nobody will see; the returned function leaves. */
  readonly begin: (model: string, more?: object) => () => void;
  /** Tells the oracles of requests that a row writes to a socket itself. */
  readonly sentByHand: (requests: number) => void;
  /** Resolves with what `found` gives of the model's status, once it gives something. */
  readonly model: <T>(name: string, what: string, found: (model: ModelStatusReport) => T | undefined | false) => Promise<T>;
  /** Reads the config file again. */
  readonly reload: () => Promise<{ readonly status: number; readonly text: string }>;
  /** The pid of a replica that is ready. */
  readonly pidOf: (name: string, index?: number) => Promise<number>;
  /** The fake engine behind a replica that is ready, past the gateway. */
  readonly engine: (name: string, index?: number) => Promise<RemoteEngine>;
}

export interface Scene {
  readonly t: TestContext;
  /** A gateway that the oracles look at when the row is over. */
  readonly start: (models: readonly object[], options?: GatewayOptions) => Promise<Victim>;
  /** Oracle (d), of a fault that can be brought about again, on a gateway that was started `probed`. */
  readonly flat: (gateway: Victim, fault: () => Promise<void>) => Promise<void>;
  /** Log lines of level error that the fault itself brings about. */
  readonly excuse: (pattern: RegExp) => void;
}

/** A model of the fake engine that closes idle connections at once, so that the gateway's pool holds none when descriptors are counted. */
export const model = (id: string, engineKwargs: object = {}, deployment: object = {}, gateway?: object): object =>
  fakeModel(id, { keep_alive_ms: 500, ...engineKwargs }, deployment, gateway);

/**
 * One row of the catalogue. After `body` the oracles are asked of every gateway it started: those still running must be quiet, and stop
 * with 0 on SIGTERM; of all of them nothing may be left. Which oracles were asked is told by a diagnostic.
 */
export function row(number: RowNumber, body: (scene: Scene) => Promise<void>, options: { readonly skip?: string | false } = {}): void {
  test(titleOf(number), { skip: options.skip ?? false }, async (t) => {
    const asked = new Set<Oracle>();
    try {
      await play(t, body, asked);
    } finally {
      t.diagnostic(askedText(number, asked));
    }
  });
}

/** `asked`: gets the oracles that are asked of at least one gateway. */
async function play(t: TestContext, body: (scene: Scene) => Promise<void>, asked: Set<Oracle>): Promise<void> {
  const subjects: Subject[] = [];
  const errors: RegExp[] = [];
  const ask = (...oracles: readonly Oracle[]): void => oracles.forEach((oracle) => asked.add(oracle));
  await body({
    t,
    start: async (models, settings) => {
      const subject = await startSubject(t, models, settings);
      subjects.push(subject);
      return victimOf(subject);
    },
    flat: async (gateway, fault) => {
      ask('d');
      await assertFlat(t, gateway, fault);
    },
    excuse: (pattern) => void errors.push(pattern),
  });
  for (const subject of subjects) {
    const ended = await isOver(subject.gateway);
    if (!ended) {
      ask('b', 'c', 'f');
      await assertQuiet(subject);
    }
    subject.gateway.signal('SIGTERM');
    const exit = await subject.gateway.exited;
    if (!ended) assert.deepEqual(exit, { code: 0, signal: null }, 'SIGTERM ends the gateway with 0');
  }
  for (const subject of subjects) {
    ask('a', 'e');
    await assertGone(subject, { errors });
  }
}

/** Whether its end has been seen already; an end that is on its way does not count. */
async function isOver({ exited }: GatewayProcess): Promise<boolean> {
  return Promise.race([exited.then(() => true), new Promise<false>((resolve) => setImmediate(resolve, false))]);
}

async function startSubject(t: TestContext, models: readonly object[], settings?: GatewayOptions): Promise<Subject> {
  const gateway = await startGateway(t, models, settings);
  const client = new CountingClient(gateway.url);
  t.after(() => client.close());
  return { gateway, client, baseline: await descriptors(gateway.pid) };
}

function victimOf({ gateway, client }: Subject): Victim {
  const find: Victim['model'] = async (name, what, found) => {
    let value: ReturnType<typeof found>;
    await until(
      `${name}: ${what}`,
      async () => {
        const model = (await gateway.status()).find((entry) => entry.name === name);
        assert.ok(model !== undefined, `no model ${name}`);
        value = found(model);
        return value !== undefined && value !== false;
      },
      patienceMs,
    );
    return value as Exclude<typeof value, undefined | false>;
  };
  return {
    ...gateway,
    ask: (name, more) => client.ask(name, more),
    get: (path) => client.get(path),
    stream: (name, more) => client.stream(name, more),
    begin: (name, more) => client.begin(name, more),
    sentByHand: (requests) => void (client.sent += requests),
    model: find,
    reload: async () => {
      const headers = { 'content-type': 'application/json' };
      const reply = await fetch(`${gateway.adminUrl}/api/reload`, { method: 'POST', headers, body: '{}' });
      return { status: reply.status, text: await reply.text() };
    },
    pidOf: (name, index = 0) =>
      find(
        name,
        `replica ${index} is ready`,
        ({ replicas }) => replicas.find((replica) => replica.index === index && replica.state === 'ready')?.pid,
      ),
    engine: async (name, index = 0) => {
      const { pid, upstream } = await find(name, `replica ${index} is ready`, ({ replicas }) =>
        replicas.find((replica) => replica.index === index && replica.state === 'ready'),
      );
      assert.ok(pid !== undefined && upstream !== undefined);
      return remoteEngine(pid, upstream);
    },
  };
}
