import { dataOf, splitEvents } from '../../core/server-sent-events.ts';

/** Takes a stream of server-sent events apart. */
export class EventReader {
  #rest = '';

  /** The data of each event that `text` completes; comments have none. */
  read(text: string): readonly string[] {
    const events = splitEvents(this.#rest + text);
    this.#rest = /\r?\n\r?\n$/u.test(events.at(-1) ?? '') ? '' : (events.pop() ?? '');
    return events.flatMap((event) => dataOf(event) ?? []);
  }
}
