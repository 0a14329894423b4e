import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import type { TestContext } from 'node:test';

const types = new Map([
  [1, 'A'],
  [28, 'AAAA'],
]);

export interface NameServer {
  /** `A name`, `AAAA name`: what it was asked, in order. */
  readonly asked: readonly string[];
}

/** A DNS server on 127.0.0.1:53. `answer`: addresses (IPv4 for `A`, IPv6 for `AAAA`) for the nth time (from 0 on) that it is asked so. */
export async function nameServer(
  t: TestContext,
  answer: (type: string, name: string, time: number) => readonly string[],
): Promise<NameServer> {
  const asked: string[] = [];
  const socket = createSocket('udp4', (query, from) => {
    const { name, end, type } = questionOf(query);
    const question = `${type} ${name}`;
    const addresses = answer(type, name, asked.filter((before) => before === question).length);
    asked.push(question);
    // The question again, as a reply without an error; then an answer an address, whose name is that of the question.
    const head = Buffer.from([query[0] ?? 0, query[1] ?? 0, 0x81, 0x80, 0, 1, 0, addresses.length, 0, 0, 0, 0]);
    socket.send(Buffer.concat([head, query.subarray(12, end), ...addresses.map(recordOf)]), from.port, from.address);
  });
  socket.bind(53, '127.0.0.1');
  await once(socket, 'listening');
  t.after(() => socket.close());
  return { asked };
}

function questionOf(query: Buffer): { readonly name: string; readonly end: number; readonly type: string } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length).toLowerCase());
    at += 1 + length;
  }
  return { name: labels.join('.'), end: at + 5, type: types.get(query.readUInt16BE(at + 1)) ?? 'other' };
}

/** Of one address, to be kept for no time at all. */
function recordOf(address: string): Buffer {
  const data = address.includes(':') ? ipv6Bytes(address) : Buffer.from(address.split('.').map(Number));
  const type = data.length === 16 ? 28 : 1;
  return Buffer.concat([Buffer.from([0xc0, 0x0c, 0, type, 0, 1, 0, 0, 0, 0, 0, data.length]), data]);
}

const words = (text: string): string[] => text.split(':').filter((word) => word !== '');

function ipv6Bytes(address: string): Buffer {
  const [before = '', after = ''] = address.split('::');
  const zeros = Array<string>(8 - words(before).length - words(after).length).fill('0');
  return Buffer.from([...words(before), ...zeros, ...words(after)].map((word) => word.padStart(4, '0')).join(''), 'hex');
}
