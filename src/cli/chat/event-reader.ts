/** Takes a stream of server-sent events apart. */
export class EventReader {
  #rest = '';

  /** The data of each event that `text` completes; comments have none. */
  read(text: string): readonly string[] {
    const events = `${this.#rest}${text}`.split(/\r?\n\r?\n/);
    this.#rest = events.pop() ?? '';
    return events.flatMap((event) => {
      const data = event.split(/\r?\n/).flatMap((line) => (line.startsWith('data:') ? [line.slice(5).replace(/^ /, '')] : []));
      return data.length === 0 ? [] : [data.join('\n')];
    });
  }
}
