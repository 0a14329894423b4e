/** The `data:` payloads of a whole event stream, in order. */
export function eventData(stream: string): readonly string[] {
  return stream
    .split(/\r?\n\r?\n/u)
    .flatMap((event) => event.split(/\r?\n/u).filter((line) => line.startsWith('data: ')))
    .map((line) => line.slice('data: '.length));
}
