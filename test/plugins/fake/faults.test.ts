import assert from 'node:assert/strict';
import { isUtf8 } from 'node:buffer';
import { once } from 'node:events';
import { get, request as httpRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { before, beforeEach, describe, test } from 'node:test';
import { settingTable } from '../../../src/plugins/fake/settings.ts';
import { fileCleanup, startFake } from '../../support/fake-engine.ts';
import type { FakeEngine } from '../../support/fake-engine.ts';
import { eventData } from '../../support/sse.ts';
import { until } from '../../support/until.ts';

/** Every setting that can be changed at run time, as it is without any option. */
const noFaults = Object.fromEntries(
  [...settingTable].filter(([, setting]) => setting.takesEffect === 'always').map(([name, setting]) => [name, setting.fallback]),
);

const cleanup = fileCleanup();
let engine: FakeEngine;
before(async () => {
  engine = await startFake({ keep_alive_ms: 3000 }, cleanup);
});
beforeEach(async () => {
  await engine.control(noFaults);
});

const ask = (stream = false): Promise<Response> =>
  engine.fetch('/v1/chat/completions', {
    method: 'POST',
    body: JSON.stringify({ messages: [{ role: 'user', content: 'zwölf grüne bälle rollen über das große dach' }], stream }),
  });

/** What arrived of a reply, and whether it ended as HTTP says it should. */
async function received(response: Response): Promise<{ readonly text: string; readonly whole: boolean }> {
  const chunks: Uint8Array[] = [];
  try {
    for await (const chunk of response.body ?? []) chunks.push(chunk as Uint8Array);
    return { text: Buffer.concat(chunks).toString(), whole: true };
  } catch {
    return { text: Buffer.concat(chunks).toString(), whole: false };
  }
}

/** A streamed completion through `node:http`, which shows each piece as it came; nothing is read yet. */
async function streamOf(prompt: string): Promise<IncomingMessage> {
  const headers = { authorization: `Bearer ${engine.apiKey}` };
  const client = httpRequest(`${engine.url}/v1/completions`, { method: 'POST', agent: false, headers });
  client.end(JSON.stringify({ prompt, stream: true }));
  const [response] = (await once(client, 'response')) as [IncomingMessage];
  return response;
}

const said = (stream: string): string =>
  eventData(stream)
    .filter((data) => data.startsWith('{'))
    .map((data) => (JSON.parse(data) as { choices?: { delta: { content?: string } }[] }).choices?.[0]?.delta.content ?? '')
    .join('');

describe('refusals', () => {
  test('come in the given order and then end', async () => {
    await engine.control({ refuse: [503, 400] });
    assert.deepEqual([(await ask()).status, (await ask()).status, (await ask()).status], [503, 400, 200]);
  });

  test('last until they are taken back', async () => {
    await engine.control({ refuse_all: 500 });
    assert.deepEqual([(await ask()).status, (await ask()).status], [500, 500]);
    await engine.control({ refuse_all: 0 });
    assert.equal((await ask()).status, 200);
  });

  const bodies: readonly (readonly [string, RegExp])[] = [
    ['json', /^\{"error":\{"message":".*502.*"code":"fake_refusal"/u],
    ['flat', /^\{"object":"error","message":.*"code":502\}$/u],
    ['html', /^<html>/u],
    ['empty', /^$/u],
  ];
  for (const [kind, pattern] of bodies) {
    test(`have a body of kind ${kind}`, async () => {
      await engine.control({ refuse: 502, refuse_body: kind });
      assert.match(await (await ask()).text(), pattern);
    });
  }

  test('can be a reset connection', async () => {
    await engine.control({ drop_before_headers: 1 });
    await assert.rejects(ask(), (error: Error) => (error.cause as NodeJS.ErrnoException).code === 'ECONNRESET');
    assert.equal((await ask()).status, 200);
  });
});

describe('a hang', () => {
  test('stops requests and health alike, until it is taken back', async () => {
    await engine.control({ hang_after_requests: 1 });
    assert.equal((await ask()).status, 200);
    const stuck = ask();
    await until('it hangs', async () => (await engine.state()).hung);
    const prober = new AbortController();
    const { probes } = await engine.state();
    const probe = assert.rejects(fetch(`${engine.url}/health`, { signal: prober.signal }));
    await until('the probe has arrived', async () => (await engine.state()).probes === probes + 1);
    prober.abort();
    await probe;
    await engine.control({ hang_after_requests: -1 });
    assert.equal((await stuck).status, 200);
  });

  test('can begin in the middle of a stream, behind a health that lies', async () => {
    await engine.control({ hang_after_tokens: 2, health: 'lie' });
    const response = await ask(true);
    await until('it hangs', async () => (await engine.state()).hung);
    assert.equal((await fetch(`${engine.url}/health`)).status, 200);
    assert.equal((await engine.state()).open, 1);
    await engine.control({ hang_after_tokens: -1 });
    assert.equal(said((await received(response)).text), 'zwölf grüne bälle rollen über das große dach');
  });
});

describe('health', () => {
  for (const [health, status] of [
    ['fail', 503],
    ['flap:1', 503],
    ['flap:0', 200],
    ['slow:1', 200],
    ['lie', 200],
  ] as const) {
    test(`${health} answers ${status}`, async () => {
      await engine.control({ health });
      assert.equal((await fetch(`${engine.url}/health`)).status, status);
    });
  }

  test('flap:0.5 gives both answers', async () => {
    await engine.control({ health: 'flap:0.5' });
    const statuses = new Set<number>();
    await until('both were seen', async () => statuses.add((await fetch(`${engine.url}/health`)).status).size === 2);
  });

  test('hang never answers, though the engine works', async () => {
    await engine.control({ health: 'hang' });
    const prober = new AbortController();
    const probe = assert.rejects(fetch(`${engine.url}/health`, { signal: prober.signal }));
    assert.equal((await ask()).status, 200);
    prober.abort();
    await probe;
  });
});

describe('a stream', () => {
  const whole = 'zwölf grüne bälle rollen über das große dach';
  const faults: readonly (readonly [string, (text: string, ended: boolean) => void])[] = [
    ['nodone', (text, ended) => assert.deepEqual([said(text), text.includes('[DONE]'), ended], [whole, false, true])],
    ['split-utf8', (text) => assert.deepEqual([said(text), text.endsWith('data: [DONE]\n\n')], [whole, true])],
    ['crlf', (text) => assert.deepEqual([said(text), text.endsWith('data: [DONE]\r\n\r\n')], [whole, true])],
    ['comments', (text) => assert.deepEqual([said(text), text.includes('\n\n: still here\n\n:\n')], [whole, true])],
    ['norole', (text) => assert.deepEqual([said(text), text.includes('"role"')], [whole, false])],
    [
      'cut',
      (text, ended) => {
        assert.equal(ended, false);
        assert.doesNotMatch(text, /\n\n$/u);
        assert.throws(() => JSON.parse(eventData(text).at(-1) ?? ''));
      },
    ],
    [
      'error-mid',
      (text, ended) => {
        assert.deepEqual([ended, text.includes('[DONE]')], [true, false]);
        assert.equal((JSON.parse(eventData(text).at(-1) ?? '') as { error: { code: string } }).error.code, 'fake_error');
      },
    ],
    ['bigline', (text) => assert.ok(eventData(text).some((data) => data.length === 1024 * 1024))],
  ];
  for (const [sse, check] of faults) {
    test(`of kind ${sse}`, async () => {
      await engine.control({ sse, bigline_mb: 1 });
      const { text, whole: ended } = await received(await ask(true));
      check(text, ended);
      assert.equal((await engine.state()).open, 0);
    });
  }

  test('of kind split-utf8 breaks characters between writes', async () => {
    await engine.control({ sse: 'split-utf8' });
    const chunks: Buffer[] = [];
    const response = await streamOf('grüße');
    // Not `for await`, which joins the pieces that have arrived.
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    await once(response, 'end');
    assert.ok(chunks.some((chunk) => !isUtf8(chunk)));
    assert.ok(isUtf8(Buffer.concat(chunks)));
  });

  test('waits for a client that does not read, and ends when it leaves', async () => {
    await engine.control({ tokens: 1_000_000 });
    const response = await streamOf('words words words');
    let last = -1;
    await until('it stands still', async () => {
      const { tokens } = await engine.state();
      const still = tokens === last && tokens > 0;
      last = tokens;
      return still;
    });
    assert.equal((await engine.state()).open, 1);
    response.destroy();
    await until('it has ended', async () => (await engine.state()).open === 0);
  });
});

describe('a whole reply', () => {
  test('can break off', async () => {
    await engine.control({ reply: 'cut' });
    const { text, whole } = await received(await ask());
    assert.equal(whole, false);
    assert.match(text, /^\{"id":"chatcmpl-/u);
  });

  test('can be something else', async () => {
    await engine.control({ reply: 'html' });
    const page = await ask(true);
    assert.deepEqual([page.headers.get('content-type'), (await page.text()).startsWith('<html>')], ['text/html', true]);
    await engine.control({ reply: 'empty' });
    assert.equal(await (await ask()).text(), '');
  });

  test('can carry headers that no proxy may pass on', async () => {
    await engine.control({ headers: 'evil' });
    const { headers } = await ask();
    for (const name of ['x-foo', 'set-cookie', 'proxy-authenticate', 'keep-alive']) assert.ok(headers.has(name), name);
    assert.match(headers.get('connection') ?? '', /x-foo/u);
  });

  test('can carry two lengths', async () => {
    await engine.control({ headers: 'duplicate-length' });
    await assert.rejects(ask());
    await until('nothing is open', async () => (await engine.state()).open === 0);
  });

  test('tells how long an idle connection is kept', async () => {
    const [response] = (await once(get(`${engine.url}/health`, { agent: false, headers: { connection: 'keep-alive' } }), 'response')) as [
      IncomingMessage,
    ];
    response.resume();
    assert.equal(response.headers['keep-alive'], 'timeout=3');
  });
});

test('with ignore_close a generation goes on without its client', async () => {
  await engine.control({ ignore_close: true, tokens: 100_000, tokens_per_s: 1000 });
  const client = new AbortController();
  const body = '{"prompt":"x","stream":true}';
  const response = await engine.fetch('/v1/completions', { method: 'POST', body, signal: client.signal });
  client.abort();
  await assert.rejects(response.text());
  const { tokens } = await engine.state();
  await until('it still generates', async () => (await engine.state()).tokens > tokens + 20);
  assert.equal((await engine.state()).open, 1);
});

test('it can claim another model', async () => {
  await engine.control({ models_id: 'other' });
  const { data } = (await (await engine.fetch('/v1/models')).json()) as { data: { id: string }[] };
  assert.equal(data[0]?.id, 'other');
});
