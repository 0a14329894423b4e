import { randomFrom } from './random.ts';

const periodMs = 10;

/** Writes what no log reader likes - no line ends, invalid UTF-8, terminal escapes - for as long as the process lives. */
export function startFlood(mbPerS: number, write: (bytes: Buffer) => void): void {
  const random = randomFrom(1);
  const junk = Buffer.from(Array.from({ length: 65_536 }, () => 0x80 + Math.floor(random() * 0x7f)));
  for (let at = 0; at < junk.length; at += 1024) junk.write('\u001B[31mflood\u001B[2J', at);
  setInterval(() => {
    let left = Math.round((mbPerS * 1_000_000 * periodMs) / 1000);
    for (; left > 0; left -= junk.length) write(junk.subarray(0, left));
  }, periodMs).unref();
}
