import { heaviestOf, keyGroups } from '../core/rendezvous.ts';
import type { ReplicaView } from '../core/table.ts';

/** With fewer replicas it costs no more to look at all of them. */
const fewest = 16;

/** One worker's memory of which replica each group of keys prefers: what that costs must not grow with the replicas. Of a list that is gone nothing is kept. */
export class Favourites {
  /** By the list of the present table: for each group one more than the place of its replica in the list; 0 where it is not known yet. */
  readonly #places = new WeakMap<readonly ReplicaView[], Uint16Array>();

  of(replicas: readonly ReplicaView[], group: number): ReplicaView | undefined {
    if (replicas.length < fewest) return replicas[heaviestOf(group, replicas)];
    let places = this.#places.get(replicas);
    if (places === undefined) {
      places = new Uint16Array(keyGroups);
      this.#places.set(replicas, places);
    }
    const known = places[group] ?? 0;
    if (known > 0) return replicas[known - 1];
    const place = heaviestOf(group, replicas);
    places[group] = place + 1;
    return replicas[place];
  }
}
