import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ModelConfig } from '../../src/config/config.ts';
import { GatewayError } from '../../src/core/errors.ts';
import type { ReplicaId, Slot } from '../../src/core/ids.ts';
import { settle } from '../support/manual-clock.ts';
import { simulate } from './support/memory.ts';
import type { MemoryProcess, Simulation } from './support/memory.ts';
import { model } from './support/model.ts';

type Command =
  | { readonly kind: 'apply'; readonly replicas: number; readonly seed: number }
  | { readonly kind: 'remove' }
  | { readonly kind: 'crash'; readonly which: number }
  | { readonly kind: 'sick'; readonly which: number }
  | { readonly kind: 'request'; readonly which: number }
  | { readonly kind: 'answer' }
  | { readonly kind: 'workers-apply'; readonly behind: number }
  | { readonly kind: 'time'; readonly ms: number };

const command: fc.Arbitrary<Command> = fc.oneof(
  fc.record({ kind: fc.constant('apply' as const), replicas: fc.nat({ max: 3 }), seed: fc.nat({ max: 2 }) }),
  fc.constant({ kind: 'remove' as const }),
  fc.record({ kind: fc.constant('crash' as const), which: fc.nat({ max: 5 }) }),
  fc.record({ kind: fc.constant('sick' as const), which: fc.nat({ max: 5 }) }),
  fc.record({ kind: fc.constant('request' as const), which: fc.nat({ max: 5 }) }),
  fc.constant({ kind: 'answer' as const }),
  fc.record({ kind: fc.constant('workers-apply' as const), behind: fc.nat({ max: 2 }) }),
  fc.record({ kind: fc.constant('time' as const), ms: fc.constantFrom(0, 50, 200, 2000, 40_000) }),
);

interface Flight {
  readonly slot: Slot;
  readonly id: ReplicaId;
}

/** One worker and one client, as rude as the contract lets them be: they use the oldest table that may still be in use. */
class World {
  readonly sim: Simulation = simulate(12);
  readonly flights: Flight[] = [];
  readonly #gone = new Set<ReplicaId>();
  /** Whose requests a slot counts. */
  readonly #owner = new Map<Slot, ReplicaId>();
  #checked = 0;

  constructor() {
    this.sim.applied = 0;
  }

  async run(command: Command): Promise<void> {
    const { sim } = this;
    switch (command.kind) {
      case 'apply':
        this.#apply(model({ replicas: command.replicas, engineOptions: { seed: command.seed }, drainTimeoutMs: 1_000_000 }));
        break;
      case 'remove':
        sim.apply();
        break;
      case 'crash':
        this.#process(command.which)?.exit();
        break;
      case 'sick': {
        const process = this.#process(command.which);
        if (process !== undefined) process.health = 503;
        break;
      }
      case 'request':
        this.#request(command.which);
        break;
      case 'answer': {
        const flight = this.flights.shift();
        if (flight !== undefined) sim.board.add(0, flight.slot, -1);
        break;
      }
      case 'workers-apply':
        sim.applied = Math.max(sim.applied ?? 0, (sim.tables.at(-1)?.version ?? 0) - command.behind);
        sim.supervisor.applied();
        break;
      case 'time':
        await sim.clock.advance(command.ms);
    }
    await settle();
    this.#check();
  }

  /** Refused, with nothing changed, only while slots are rightly held back: workers have not let go of them, or requests are on them. */
  #apply(wanted: ModelConfig): void {
    const { sim } = this;
    const before = JSON.stringify(sim.supervisor.status());
    try {
      sim.apply(wanted);
    } catch (thrown) {
      assert.ok(thrown instanceof GatewayError && /need more slots/u.test(thrown.message), String(thrown));
      assert.ok((sim.applied ?? 0) < (sim.tables.at(-1)?.version ?? 0) || this.flights.length > 0, 'slots are lost');
      assert.equal(JSON.stringify(sim.supervisor.status()), before);
    }
  }

  #process(which: number): MemoryProcess | undefined {
    const { alive } = this.sim.provider;
    return alive[which % Math.max(1, alive.length)];
  }

  /** By the table the worker has applied, not by the newest. */
  #request(which: number): void {
    const table = this.sim.tables.find(({ version }) => version === this.sim.applied);
    const views = [...(table?.models.values() ?? [])].flatMap(({ replicas }) => replicas);
    const view = views[which % Math.max(1, views.length)];
    if (view === undefined) return;
    const counted = this.flights.filter(({ slot }) => slot === view.slot);
    assert.ok(
      counted.every(({ id }) => id === view.id),
      `slot ${view.slot} counts requests of another run`,
    );
    this.sim.board.add(0, view.slot, 1);
    this.flights.push({ slot: view.slot, id: view.id });
  }

  #check(): void {
    const { sim } = this;
    for (const table of sim.tables.slice(this.#checked)) {
      assert.equal(table.version, this.#checked + 1, 'versions grow by one');
      this.#checked += 1;
      const entries = [...table.models.values()];
      const slots = entries.flatMap(({ waiting, replicas }) => [waiting, ...replicas.map(({ slot }) => slot)]);
      assert.equal(new Set(slots).size, slots.length, 'a slot stands twice in a table');
      const named = new Set(entries.flatMap(({ replicas }) => replicas.map(({ id }) => id)));
      for (const id of named) {
        const stops = sim.provider.processes.find(({ spec }) => spec.id === id)?.stops ?? [];
        assert.ok(!this.#gone.has(id) || stops.length === 0, `${id} is back after it was told to stop`);
        this.#gone.delete(id);
      }
      for (const view of entries.flatMap(({ replicas }) => replicas)) this.#checkSlot(view, table.version);
      for (const id of this.#owner.values()) if (!named.has(id)) this.#gone.add(id);
    }
  }

  /** A slot's new owner: nothing of the old one may be counted on it, and no worker may still know it. */
  #checkSlot(view: { readonly slot: Slot; readonly id: ReplicaId }, version: number): void {
    const before = this.#owner.get(view.slot);
    this.#owner.set(view.slot, view.id);
    if (before === undefined || before === view.id) return;
    assert.ok(
      this.flights.every(({ id }) => id !== before),
      `slot ${view.slot} was reused with requests on it`,
    );
    const last = this.sim.tables.findLast(
      (table) => table.version < version && [...table.models.values()].some(({ replicas }) => replicas.some(({ id }) => id === before)),
    );
    assert.ok((this.sim.applied ?? 0) > (last?.version ?? 0), `slot ${view.slot} was reused before the workers let go of it`);
  }

  async end(): Promise<void> {
    const { sim } = this;
    const stopped = sim.supervisor.stop(1000, new AbortController().signal);
    await sim.clock.advance(2000);
    await stopped;
    this.#check();
    assert.deepEqual(sim.provider.alive, [], 'a process is left');
    assert.equal(sim.clock.pending, 0, 'a timer is left');
  }
}

test('property: withdrawn replicas come back only while they drain, slots are reused only after both facts, and nothing is left at the end', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 5, maxLength: 40 }), async (commands) => {
      const world = new World();
      for (const each of commands) await world.run(each);
      await world.end();
    }),
    { numRuns: 60 },
  );
});
