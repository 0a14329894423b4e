import type pino from 'pino';
import type { AdapterName } from '../../core/ids.ts';
import type { FetchedAdapter } from './files.ts';
import type { Members } from './members.ts';
import type { ReplicaAdapters } from './replica-adapters.ts';
import type { Resident } from './residents.ts';

export interface RenewalDeps {
  readonly log: pino.Logger;
  settle(): void;
  /** Background work, which reports its own failures. */
  own(work: Promise<unknown>): void;
}

/** Puts new weights of an adapter beside the old, which go when the new ones serve. */
export class Renewal {
  readonly #members: Members;
  readonly #deps: RenewalDeps;

  constructor(members: Members, deps: RenewalDeps) {
    this.#members = members;
    this.#deps = deps;
  }

  /** Adapters that replicas have. */
  names(): ReadonlySet<AdapterName> {
    return new Set(this.#members.all().flatMap(({ residents }) => [...residents.all()].map(({ adapter }) => adapter)));
  }

  /** False where no replica has the adapter. The files need to be kept only until it returns. */
  begin(adapter: AdapterName, files: FetchedAdapter): boolean {
    const having = this.#members.having(adapter);
    for (const { member, present } of having) {
      if (present.files.handle === files.handle || present.state !== 'loaded') continue;
      files.keep();
      this.#deps.own(this.#replace(member, present, files).finally(() => files.release()));
    }
    return having.length > 0;
  }

  async #replace(member: ReplicaAdapters, old: Resident, files: FetchedAdapter): Promise<void> {
    try {
      await member.load(old.adapter, files);
      member.withdraw(old);
      this.#deps.settle();
    } catch (error) {
      if (!member.signal.aborted) this.#deps.log.warn({ adapter: old.adapter, err: error }, 'could not load new weights of an adapter');
    }
  }
}
