import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import { eventData } from '../support/sse.ts';
import { until } from '../support/until.ts';
import { probed } from './support/memory.ts';
import { sumOf } from './support/oracles.ts';
import { model, patienceMs, row } from './support/row.ts';

const digest = (what: string): string => createHash('sha256').update(what).digest('hex');
const failedEvent = /data: \{"error":\{[^\n]*"code":"upstream_failed"\}\}\n\n$/u;
const text = (stream: string): string =>
  eventData(stream)
    .filter((data) => data.startsWith('{"id"'))
    .map((data) => (JSON.parse(data) as { choices: { delta?: { content?: string } }[] }).choices[0]?.delta?.content ?? '')
    .join('');

row(70, async ({ t, start, flat }) => {
  const more = { timeouts: { write_stall_s: 1 } };
  const tokens = 500_000;
  const gateway = await start([model('m', { tokens, text: 'x'.repeat(400) })], { more, ...probed });
  const engine = await gateway.engine('m');
  const { hostname, port } = new URL(gateway.url);
  const body = JSON.stringify({ model: 'm', stream: true, messages: [{ role: 'user', content: 'one' }] });
  const head = `POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n`;
  await flat(gateway, async () => {
    const before = await engine.state();
    const socket = connect(Number(port), hostname).on('error', () => undefined);
    t.after(() => socket.destroy());
    gateway.sentByHand(1);
    socket.pause().write(head + body);
    await until('it is cut off', async () => (await engine.state()).aborted > before.aborted, patienceMs);
    const made = (await engine.state()).tokens - before.tokens;
    assert.ok(made < tokens / 2, `the engine was held back after ${made} tokens`);
    t.diagnostic(`held back after ${made} of ${tokens} tokens`);
  });
  const page = await gateway.metrics();
  assert.equal(sumOf(page, 'roundhouse_requests_total', 'outcome="client_stalled"'), 2);
});

row(72, async ({ start }) => {
  const silent = { timeouts: { first_byte_s: 1, idle_s: 1 } };
  const endless = { tokens: 10_000, tokens_per_s: 20 };
  const gateway = await start([model('m', endless, { health_check_period_s: 3600 }, silent)]);
  const pid = await gateway.pidOf('m');
  const stream = await gateway.stream('m');
  await stream.until(/data: \{"id"/u);
  process.kill(-pid, 'SIGSTOP');
  assert.match(await stream.rest(), /data: \{"error":\{[^\n]*"code":"upstream_timeout"\}\}\n\n$/u);
  const late = await gateway.ask('m');
  assert.equal(late.status, 504);
  assert.match(late.message, /nothing for \d+ s \(gateway\.timeouts\.first_byte_s\)/u);
  process.kill(-pid, 'SIGCONT');
});

row(73, async ({ start }) => {
  const gateway = await start([model('m', { sse: 'cut' })]);
  const received = await (await gateway.stream('m')).rest();
  assert.match(received, failedEvent);
  for (const data of eventData(received)) assert.doesNotThrow(() => JSON.parse(data), data);
  assert.equal(text(received), 'one two', 'what came whole was passed on');
});

row(74, async ({ start }) => {
  const gateway = await start([model('m', { sse: 'nodone' })]);
  const received = await (await gateway.stream('m')).rest();
  assert.match(received, /"finish_reason":"stop"[^\n]*\n\ndata: \[DONE\]\n\n$/u);
});

row(75, async ({ start }) => {
  const gateway = await start([model('m', { sse: 'error-mid' })]);
  const received = await (await gateway.stream('m')).rest();
  assert.match(received, /data: \{"error":\{[^\n]*in the middle of the stream[^\n]*\}\n\n$/u);
  assert.doesNotMatch(received, /\[DONE\]/u);
  const outcome = async (): Promise<number> => sumOf(await gateway.metrics(), 'roundhouse_requests_total', 'outcome="engine_error"');
  await until('counted as the engine’s', async () => (await outcome()) === 1, patienceMs);
});

row(76, async ({ t, start }) => {
  const said = 'Grüße, 世界 – 👩‍🚀 naïve '.repeat(50).trim();
  const gateway = await start([model('m', { sse: 'split-utf8', text: said })]);
  const received = text(await (await gateway.stream('m')).rest());
  assert.equal(digest(received), digest(said));
  t.diagnostic(`${Buffer.byteLength(said)} bytes`);
});

row(77, async ({ start, flat }) => {
  const gateway = await start([model('m', { sse: 'bigline', bigline_mb: 64 })], probed);
  await flat(gateway, async () => {
    const received = await (await gateway.stream('m')).rest();
    assert.match(received, /"message":"The engine sent an event of more than \d+ bytes[^\n]*"code":"upstream_invalid"\}\}\n\n$/u);
    assert.ok(received.length < 64 * 1024 * 1024);
  });
  assert.equal((await gateway.ask('m')).status, 200);
});

row(78, async ({ start }) => {
  const more = { timeouts: { heartbeat_s: 1 } };
  const gateway = await start([model('m', { prefill_s: 3 }), model('ill', { prefill_s: 0, refuse_all: 500 })], { more });
  const stream = await gateway.stream('m');
  const received = await stream.rest();
  assert.match(received, /^(: [^\n]+\n\n)+data: \{"id"/u);
  assert.match(received, /data: \[DONE\]\n\n$/u);
  assert.equal((await gateway.stream('ill')).status, 500, 'an early error is a real status');
});

row(79, async ({ start }) => {
  const bodies = ['json', 'flat', 'html', 'empty'];
  const ill = bodies.map((refuse_body) => model(`refuses-${refuse_body}`, { refuse_all: 500, refuse_body }));
  const odd = ['html', 'empty'].map((reply) => model(`says-${reply}`, { reply }));
  const gateway = await start([...ill, ...odd]);
  for (const body of bodies) {
    const { status, text: shown, message } = await gateway.ask(`refuses-${body}`);
    assert.equal(status, 500, body);
    assert.ok(message.length > 0, `${body}: ${shown}`);
    assert.doesNotMatch(shown, /<html>/u);
  }
  for (const reply of ['html', 'empty']) {
    const { status, text: shown, code } = await gateway.ask(`says-${reply}`);
    assert.equal(status, 502, `${reply}: ${shown}`);
    assert.ok(code !== undefined);
    assert.doesNotMatch(shown, /<html>/u);
  }
});
