import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, test, type TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { GatewaySettings } from '../../../src/core/messages.ts';
import type { Operation } from '../../../src/core/request.ts';
import { operations } from '../../../src/gateway/operations.ts';
import { type DataPlaneUnderTest, dataPlane, eventually, model, scriptedEngine, type ScriptedEngine } from '../../support/data-plane.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const png = Buffer.from('\x89PNG\r\n\x1a\n and the rest', 'latin1');
const dataUrl = `data:image/png;base64,${png.toString('base64')}`;

interface Host {
  readonly port: number;
  /** Paths asked for, with the `Host` that was named. */
  readonly asked: readonly string[];
  open(): number;
}

/** A server of images on loopback; `answer` for what is not `/ok.png`. */
async function imageHost(
  t: TestContext,
  answer: (path: string, response: ServerResponse, request: IncomingMessage) => void,
): Promise<Host> {
  const asked: string[] = [];
  let open = 0;
  const server = createServer((request, response) => {
    asked.push(`${request.headers.host?.replace(/:\d+$/u, '')}${request.url}`);
    open += 1;
    response.on('close', () => (open -= 1));
    if (request.url === '/ok.png') response.writeHead(200, { 'content-type': 'image/png' }).end(png);
    else answer(request.url ?? '', response, request);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, asked, open: () => open };
}

interface Scene {
  readonly engine: ScriptedEngine;
  readonly gateway: DataPlaneUnderTest;
  readonly looked: readonly string[];
}

/** A gateway for which `images.test` and `other.test` are this machine, the first one listed. */
async function scene(t: TestContext, media: Partial<GatewaySettings['media']> = {}, clock?: ManualClock): Promise<Scene> {
  const engine = await scriptedEngine(t, (_request, response) => response.end('{}'));
  const looked: string[] = [];
  const gateway = await dataPlane(t, [engine], {
    media: { allowedHosts: ['images.test'], maxImageBytes: 10_000, ...media },
    resolve: async (host) => {
      looked.push(host);
      return host.endsWith('.test') ? ['127.0.0.1'] : [];
    },
    ...(clock === undefined ? {} : { clock }),
  });
  return { engine, gateway, looked };
}

const withImages = (...urls: readonly string[]): object => ({
  model,
  messages: [
    {
      role: 'user',
      content: [{ type: 'text', text: 'Is “url" one?' }, ...urls.map((url) => ({ type: 'image_url', image_url: { url, detail: 'low' } }))],
    },
  ],
});

const user = (part: object): object => ({ role: 'user', content: [part] });
const result = (part: object): object => user({ type: 'tool_result', tool_use_id: 'a', content: [part] });

const errorOf = async (response: Response): Promise<string> => {
  const { error } = (await response.json()) as { error: { code: string; message: string } };
  return `${response.status} ${error.code} ${error.message}`;
};

describe('images by URL', () => {
  test('are fetched once each, from the address that was looked at, and handed on as data', async (t) => {
    const host = await imageHost(t, (_path, response) => response.writeHead(404).end());
    const { engine, gateway, looked } = await scene(t);
    const url = `http://images.test:${host.port}/ok.png`;
    const response = await gateway.post(withImages(url, dataUrl, url));
    assert.equal(response.status, 200);
    assert.deepEqual(JSON.parse(engine.bodies[0] ?? ''), withImages(dataUrl, dataUrl, dataUrl));
    assert.deepEqual([looked, host.asked], [['images.test'], ['images.test/ok.png']]);
    await eventually(() => host.open() === 0, 'no connection is kept');
  });

  test('in every API that has them, at any depth', async (t) => {
    const host = await imageHost(t, (_path, response) => response.writeHead(404).end());
    const { engine, gateway } = await scene(t);
    const url = `http://images.test:${host.port}/ok.png`;
    const base64 = { type: 'base64', media_type: 'image/png', data: png.toString('base64') };
    const cases: readonly (readonly [Operation, object, object])[] = [
      [
        'chat',
        { messages: [user({ type: 'image_url', image_url: url })] },
        { messages: [user({ type: 'image_url', image_url: dataUrl })] },
      ],
      [
        'responses',
        { input: [user({ type: 'input_image', image_url: url })] },
        { input: [user({ type: 'input_image', image_url: dataUrl })] },
      ],
      [
        'messages',
        { messages: [result({ type: 'image', source: { type: 'url', url } })], max_tokens: 5 },
        { messages: [result({ type: 'image', source: base64 })], max_tokens: 5 },
      ],
    ];
    for (const [operation, body, expected] of cases) {
      const response = await gateway.post({ model, ...body }, undefined, operations[operation].routes[0]);
      assert.equal(response.status, 200, operation);
      assert.deepEqual(JSON.parse(engine.bodies.at(-1) ?? ''), { model, ...expected });
    }
  });

  test('a key that is written with escapes hides nothing', async (t) => {
    const { engine, gateway } = await scene(t);
    const body = JSON.stringify(withImages('http://other.test/')).replaceAll('url"', String.raw`\u0075r\u006c"`);
    assert.match(await errorOf(await gateway.post(body)), /^400 media_refused/u);
    assert.deepEqual(engine.bodies, []);
  });

  const refused: readonly (readonly [url: string, why: RegExp])[] = [
    ['http://169.254.169.254/latest/meta-data/', /media_refused .*does not lead to a public address/u],
    ['http://127.0.0.1/', /media_refused .*public address/u],
    ['http://2852039166/', /media_refused .*public address/u],
    ['http://[::ffff:169.254.169.254]/', /media_refused .*public address/u],
    ['http://other.test/ok.png', /media_refused .*public address/u],
    ['http://no-such-host.example/', /media_refused .*public address/u],
    ['file:///etc/passwd', /media_refused .*not an http, https or data URL/u],
    ['gopher://images.test/', /media_refused .*not an http/u],
  ];
  for (const [url, why] of refused) {
    test(`${url}: refused, and the engine is not asked`, async (t) => {
      const { engine, gateway } = await scene(t);
      assert.match(await errorOf(await gateway.post(withImages(url))), why);
      assert.deepEqual(engine.bodies, []);
    });
  }

  test('of a listed host: what is no image, too large, compressed, missing, or led elsewhere', async (t) => {
    const host = await imageHost(t, (path, response) => {
      if (path === '/html') response.writeHead(200, { 'content-type': 'text/html' }).end('<html>');
      if (path === '/liar') response.writeHead(200, { 'content-type': 'image/png' }).end('<html>');
      if (path === '/svg') response.writeHead(200, { 'content-type': 'image/svg+xml' }).end('<svg xmlns="http://www.w3.org/2000/svg"/>');
      if (path === '/long')
        response.writeHead(200, { 'content-type': 'image/png', 'content-length': '20000' }).end(Buffer.concat([png, Buffer.alloc(20_000)]));
      if (path === '/endless') response.writeHead(200, { 'content-type': 'image/png' }).write(Buffer.concat([png, Buffer.alloc(20_000)]));
      if (path === '/gzip') response.writeHead(200, { 'content-type': 'image/png', 'content-encoding': 'gzip' }).end(gzipSync(png));
      if (path === '/gone') response.writeHead(404).end();
      if (path === '/cut')
        response.writeHead(200, { 'content-type': 'image/png', 'content-length': '500' }).write(png, () => response.destroy());
      if (path === '/circle') response.writeHead(302, { location: '/circle' }).end();
      if (path === '/inside') response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end();
      if (path === '/rebound') response.writeHead(307, { location: `http://other.test:${host.port}/ok.png` }).end();
      if (path === '/file') response.writeHead(302, { location: 'file:///etc/passwd' }).end();
      if (path === '/good') response.writeHead(301, { location: 'ok.png' }).end();
    });
    const { engine, gateway } = await scene(t);
    const cases: readonly (readonly [path: string, why: RegExp])[] = [
      ['html', /media_unavailable .*is not an image, but text\/html/u],
      ['liar', /media_unavailable .*is not an image; expected image\/png/u],
      ['svg', /media_unavailable .*is not an image/u],
      ['long', /media_refused .*larger than 10000 bytes/u],
      ['endless', /media_refused .*larger than 10000 bytes/u],
      ['gzip', /media_unavailable .*compressed/u],
      ['gone', /media_unavailable .*status 404/u],
      ['cut', /media_unavailable .*broke off/u],
      ['circle', /media_unavailable .*more than 3 redirects/u],
      ['inside', /media_refused .*public address/u],
      ['rebound', /media_refused .*public address/u],
      ['file', /media_refused .*not an http/u],
    ];
    for (const [path, why] of cases)
      assert.match(await errorOf(await gateway.post(withImages(`http://images.test:${host.port}/${path}`))), why, path);
    assert.deepEqual(engine.bodies, []);
    assert.ok(!host.asked.includes('other.test/ok.png'));
    assert.equal((await gateway.post(withImages(`http://images.test:${host.port}/good`))).status, 200);
    assert.deepEqual(JSON.parse(engine.bodies[0] ?? ''), withImages(dataUrl));
  });

  test('too many, too much together, other media, too large data', async (t) => {
    const host = await imageHost(t, (_path, response) => response.writeHead(200, { 'content-type': 'image/png' }).end(png));
    const { engine, gateway } = await scene(t, { maxImages: 2, maxTotalBytes: 30 });
    const urls = [1, 2, 3].map((n) => `http://images.test:${host.port}/${n}`);
    assert.match(await errorOf(await gateway.post(withImages(...urls))), /media_refused .*one of 3 images; at most 2/u);
    assert.match(await errorOf(await gateway.post(withImages(...urls.slice(1)))), /media_refused .*larger than 30 bytes/u);
    const video = { model, messages: [{ role: 'user', content: [{ type: 'video_url', video_url: { url: 'http://images.test/' } }] }] };
    assert.match(await errorOf(await gateway.post(video)), /media_refused .*images only/u);
    assert.match(
      await errorOf(await gateway.post(withImages(`data:image/png;base64,${'A'.repeat(20_000)}`))),
      /media_refused .*at most 10000/u,
    );
    assert.deepEqual(engine.bodies, []);
  });

  test('a host that is silent, and a client that leaves', async (t) => {
    const host = await imageHost(t, () => undefined);
    const clock = new ManualClock();
    const { engine, gateway } = await scene(t, { timeoutMs: 5000 }, clock);
    const url = `http://images.test:${host.port}/silent`;
    const late = gateway.post(withImages(url));
    await eventually(() => host.open() === 1, 'it is asked');
    await clock.advance(5001);
    assert.match(await errorOf(await late), /media_unavailable .*not there within 5 s/u);
    await eventually(() => host.open() === 0, 'its connection is closed');
    const left = new AbortController();
    const gone = gateway.post(withImages(url), left.signal);
    await eventually(() => host.open() === 1, 'it is asked again');
    left.abort();
    await assert.rejects(gone);
    await eventually(() => host.open() === 0, 'its connection is closed as the client’s is');
    assert.deepEqual([engine.bodies.length, gateway.live.size], [0, 0]);
  });
});
