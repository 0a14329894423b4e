import type pino from 'pino';
import type { Clock } from '../../core/clock.ts';
import type { Members } from './members.ts';
import { prefers } from './placement.ts';
import type { ReplicaAdapters } from './replica-adapters.ts';
import type { AdapterSource } from './source.ts';

export interface NewcomerDeps {
  readonly clock: Clock;
  readonly log: pino.Logger;
  readonly source: AdapterSource;
  readonly maxPerReplica: number;
}

/** What a new replica may take to get the adapters of its range, before it serves without the rest. */
const welcomeMs = 30_000;

/**
 * Of a new replica: what its engine has is taken over or put away, and it gets what is its own to have, the most used first. Resolves when
 * it may serve, which it may at the latest after 30 s; false where it is gone before.
 */
export async function welcome(member: ReplicaAdapters, members: Members, deps: NewcomerDeps): Promise<boolean> {
  const limit = Promise.withResolvers<void>();
  const cancel = deps.clock.after(welcomeMs, limit.resolve);
  const over = (): void => limit.resolve();
  member.signal.addEventListener('abort', over, { once: true });
  const ready = member
    .takeOver((handle, signal) => deps.source.known(handle, signal))
    .then(() => fillRange(member, members, deps))
    .catch((error: unknown) => {
      // It can serve the base; each adapter says for itself why it does not load.
      if (!member.signal.aborted) deps.log.warn({ replica: member.replica.index, err: error }, 'a new replica lacks adapters');
    });
  await Promise.race([ready, limit.promise]);
  cancel();
  member.signal.removeEventListener('abort', over);
  return !member.signal.aborted;
}

async function fillRange(member: ReplicaAdapters, members: Members, { source, maxPerReplica }: NewcomerDeps): Promise<void> {
  const { index, run } = member.replica;
  const indices = members.all().map(({ replica }) => replica.index);
  const range = members.hottest().filter((adapter) => prefers(adapter, index, indices) && member.residents.of(adapter) === undefined);
  for (const adapter of range) {
    if (members.admits(run) || member.residents.size >= maxPerReplica) return;
    const files = await source.fetch(adapter, member.signal);
    try {
      await member.load(adapter, files);
    } finally {
      files.release();
    }
  }
}
