/** What a `LiveSet` may hold: it keeps its own place. */
export interface Seated {
  /** −1 while it is in no set. */
  seat: number;
}

/**
 * A set whose members come and go with every request. Not a `Set`: that one's tables, old and new ones linked, live on with
 * what was deleted from them until a full collection, which cost a fifth of a request's time.
 */
export class LiveSet<T extends Seated> {
  readonly #members: T[] = [];

  get size(): number {
    return this.#members.length;
  }

  add(member: T): void {
    if (member.seat === -1) member.seat = this.#members.push(member) - 1;
  }

  delete(member: T): void {
    const { seat } = member;
    const last = this.#members.at(-1);
    if (seat === -1 || last === undefined) return;
    this.#members[seat] = last;
    last.seat = seat;
    this.#members.pop();
    member.seat = -1;
  }

  /** A copy: what is done with a member may take it, or others, out. */
  snapshot(): readonly T[] {
    return [...this.#members];
  }
}
