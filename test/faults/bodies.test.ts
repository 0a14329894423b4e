import assert from 'node:assert/strict';
import { randomFrom } from '../../src/plugins/fake/engine/random.ts';
import { probed } from './support/memory.ts';
import { chat, rawClient, sawNothing, seenBy } from './support/raw.ts';
import { model, row, type Victim } from './support/row.ts';
import { rawRequest } from '../support/raw-http.ts';

const canary = 'canary-of-a-body';

row(89, async ({ start }) => {
  const gateway = await start([model('m')]);
  const client = rawClient(gateway);
  await gateway.pidOf('m');
  const whole = JSON.stringify(chat({ user: canary, stop: ['a', 1.5e3, null, true] }));
  const random = randomFrom(89);
  const junk = Array.from({ length: 100 }, () =>
    Buffer.from(Array.from({ length: 1 + Math.floor(200 * random()) }, () => Math.floor(256 * random()))),
  );
  const cut = Array.from({ length: whole.length }, (_, at) => whole.slice(0, at));
  const wrong = [
    'null',
    '[]',
    '1',
    `"${canary}"`,
    `${whole}{}`,
    `${whole},`,
    whole.replace('null', 'nul'),
    whole.replace('1500', '01'),
    `{'user':'${canary}'}`,
    `\uFEFF${whole}`,
  ];
  for (const body of [...cut, ...wrong, ...junk]) {
    const { status, code } = await client.post(body);
    assert.deepEqual([status, code], [400, 'request_invalid'], body.toString());
  }
  await sawNothing(gateway);
  assert.ok(!(gateway.log() + gateway.output()).includes(canary));
});

const megabytes = (count: number): number => count * 1024 * 1024;

const part = (name: string, value: string | Buffer, file = ''): readonly (string | Buffer)[] => [
  `--x\r\nContent-Disposition: form-data; name="${name}"${file}\r\n\r\n`,
  value,
  '\r\n',
];

/** A form with a recording of so many bytes. */
function form(bytes: number): Buffer {
  const pieces = [...part('model', 'm'), ...part('file', Buffer.alloc(bytes), '; filename="a.wav"'), '--x--\r\n'];
  return Buffer.concat(pieces.map((one) => (typeof one === 'string' ? Buffer.from(one) : one)));
}

row(90, async ({ start, flat }) => {
  const gateway = await start([model('m')], probed);
  const client = rawClient(gateway);
  await gateway.pidOf('m');
  const head = 'POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n';
  const length = `Content-Length: ${megabytes(100)}\r\n\r\n`;
  const unread = await client.send([`${head}${length}`]);
  assert.equal(unread.status, 413, 'answered before a byte of it came');
  assert.match(unread.text, /"body_too_large"/u);
  const piece = Buffer.alloc(megabytes(1), 'x');
  const chunk = Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')]);
  await flat(gateway, async () => {
    const told = await client.send([`${head}${length}`, ...Array.from({ length: 100 }, () => piece)]);
    assert.equal(told.status, 413, 'also to who sends it all');
    const chunked = await client.send([`${head}Transfer-Encoding: chunked\r\n\r\n`, ...Array.from({ length: 100 }, () => chunk)]);
    assert.equal(chunked.status, 413);
  });
  await sawNothing(gateway);
  const headers = ['Content-Type: multipart/form-data; boundary=x'];
  const speech = { target: '/v1/audio/transcriptions', headers } as const;
  assert.equal((await client.ask({ ...speech, body: form(megabytes(20)) })).status, 200, 'recordings may be larger');
  assert.equal((await client.send([rawRequest({ ...speech, body: form(megabytes(101)) })])).status, 413);
});

row(91, async ({ start }) => {
  const gateway = await start([model('m')]);
  const client = rawClient(gateway);
  await gateway.pidOf('m');
  const depth = 100_000;
  const arrays = '['.repeat(depth) + ']'.repeat(depth);
  const objects = '{"a":'.repeat(depth) + '1' + '}'.repeat(depth);
  for (const deep of [arrays, objects, '['.repeat(depth), '{"a":['.repeat(depth)]) {
    const bodies = [deep, `{"model":"m","messages":${deep}}`, `{"metadata":{"a":${deep}},"model":"m","messages":[]}`];
    for (const body of bodies) assert.equal((await client.post(body)).status, 400);
  }
  await sawNothing(gateway);
});

/** What goes to the engine as it is. */
async function isPreserved(gateway: Victim, body: Buffer): Promise<void> {
  const { status, text } = await rawClient(gateway).post(body);
  assert.equal(status, 200, text);
  assert.equal((await seenBy(gateway)).bodies.at(-1), body.toString());
}

row(92, async ({ start }) => {
  const gateway = await start([model('m')]);
  const client = rawClient(gateway);
  await gateway.pidOf('m');
  const [before = '', after = ''] = JSON.stringify(chat({ user: '?' })).split('?');
  const within = (bytes: Buffer): Buffer => Buffer.concat([Buffer.from(before), bytes, Buffer.from(after)]);
  const invalid = ['ff', 'c328', 'c0af', 'eda080', 'f4908080', 'e28228', '80', '00', '0a', '1f'];
  for (const hex of invalid) assert.equal((await client.post(within(Buffer.from(hex, 'hex')))).status, 400, hex);
  await sawNothing(gateway);
  const valid = [
    String.raw`\u0000`,
    String.raw`\ud800`,
    String.raw`\udc00\ud800`,
    String.raw`\u001b[31m`,
    'ä\u{1F600}\u2028\u202E',
    '\x7F',
  ];
  for (const text of valid) await isPreserved(gateway, within(Buffer.from(text)));
});

row(94, async ({ start }) => {
  const gateway = await start([model('m'), model('other')]);
  const client = rawClient(gateway);
  await gateway.pidOf('m');
  const messages = '"messages":[{"role":"user","content":"a"}]';
  for (const second of ['"model"', String.raw`"mod\u0065l"`, String.raw`"\u006dodel"`]) {
    const { status, message } = await client.post(`{"model":"m",${messages},${second}:"other"}`);
    assert.deepEqual([status, /"model" stands twice/u.test(message)], [400, true]);
  }
  await sawNothing(gateway);
  await isPreserved(
    gateway,
    Buffer.from('{"model":"m","messages":[{"role":"user","content":"a","content":"b"}],"seed":123456789012345678901}'),
  );
});

row(95, async ({ start }) => {
  const gateway = await start([model('m')]);
  const client = rawClient(gateway);
  await gateway.pidOf('m');
  for (const name of ['__proto__', 'constructor', 'prototype', String.raw`__pr\u006fto__`]) {
    const body = JSON.stringify(chat()).replace('{', `{"${name}":{"stream":true},`);
    const { status, code } = await client.post(body);
    assert.deepEqual([status, code], [400, 'param_refused'], name);
  }
  await sawNothing(gateway);
});
