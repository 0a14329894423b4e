import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { plainPng } from '../../src/conformance/png.ts';
import { tempDir } from '../support/gateway-process.ts';
import { needsNetwork } from './support/far-machine.ts';
import { rawClient, sawNothing, seenBy } from './support/raw.ts';
import { rebindingScene } from './support/rebinding.ts';
import { model, row, type Victim } from './support/row.ts';

const png = plainPng(4, [255, 0, 0]);

/** A host of one image and of redirects, on all of loopback. */
async function imageHost(t: TestContext): Promise<{ readonly port: number; readonly asked: readonly string[] }> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.headers.host?.replace(/:\d+$/u, '')}${request.url}`);
    const to = /^\/to\/(.+)$/u.exec(request.url ?? '')?.[1];
    if (to === undefined) response.writeHead(200, { 'content-type': 'image/png' }).end(png);
    else response.writeHead(302, { location: decodeURIComponent(to) }).end();
  });
  server.listen(0, '0.0.0.0');
  await once(server, 'listening');
  t.after(() => server.close());
  return { port: (server.address() as AddressInfo).port, asked };
}

const withImage = (url: string): object => ({
  model: 'm',
  messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url } }] }],
});

async function areRefused(gateway: Victim, urls: readonly string[]): Promise<void> {
  for (const url of urls) {
    const { status, code } = await rawClient(gateway).post(withImage(url));
    assert.deepEqual([status, code], [400, 'media_refused'], url);
  }
}

row(105, async ({ t, start }) => {
  const host = await imageHost(t);
  const gateway = await start([model('m')], { more: { media: { allowed_hosts: ['localhost'] } } });
  await gateway.pidOf('m');
  const at = (name: string): string => `http://${name}:${host.port}/a.png`;
  const inside = [
    '127.0.0.1',
    '127.1',
    '2130706433',
    '0x7f000001',
    '0177.0.0.1',
    '0',
    '[::1]',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
  ].map(at);
  await areRefused(gateway, [
    ...inside,
    'http://169.254.169.254/latest/meta-data/',
    'http://[fe80::1]/',
    'http://10.0.0.1/',
    'http://user:password@localhost/',
    'file:///etc/passwd',
    'gopher://localhost:70/',
    'ftp://localhost/',
    '/etc/passwd',
  ]);
  assert.deepEqual(host.asked, []);
  await sawNothing(gateway);
  const { status, text } = await rawClient(gateway).post(withImage(at('localhost')));
  assert.equal(status, 200, text);
  assert.deepEqual(JSON.parse((await seenBy(gateway)).bodies[0] ?? ''), withImage(`data:image/png;base64,${png.toString('base64')}`));
});

row(
  106,
  async ({ t, start }) => {
    const host = await imageHost(t);
    const gateway = await start([model('m')], { more: { media: { allowed_hosts: ['localhost'] } } });
    await gateway.pidOf('m');
    const targets = [
      `http://127.0.0.1:${host.port}/a.png`,
      `http://127.0.0.2:${host.port}/a.png`,
      'http://169.254.169.254/',
      'file:///etc/passwd',
      'http://[::1]/',
    ];
    await areRefused(
      gateway,
      targets.map((target) => `http://localhost:${host.port}/to/${encodeURIComponent(target)}`),
    );
    assert.equal(host.asked.length, targets.length);
    assert.ok(
      host.asked.every((asked) => asked.startsWith('localhost/to/')),
      host.asked.join(),
    );
    await sawNothing(gateway);
    const back = `http://localhost:${host.port}/to/${encodeURIComponent(`http://localhost:${host.port}/a.png`)}`;
    assert.equal((await rawClient(gateway).post(withImage(back))).status, 200);
    const { code, output } = await rebindingScene(await tempDir(t));
    assert.equal(code, 0, output);
    assert.match(output, /^ℹ pass 1$/mu);
  },
  { skip: await needsNetwork() },
);

row(107, async ({ start }) => {
  const gateway = await start([model('m')]);
  await gateway.pidOf('m');
  const image = withImage(`data:image/png;base64,${'A'.repeat(50 * 1024 * 1024)}`);
  assert.equal((await rawClient(gateway).post(image)).status, 413);
  await sawNothing(gateway);
  const large = await start([model('m')], { more: { limits: { max_body_bytes: 64 * 1024 * 1024 } } });
  await large.pidOf('m');
  const { status, code, message } = await rawClient(large).post(image);
  assert.deepEqual([status, code], [400, 'media_refused']);
  assert.match(message, /has 39321600 bytes; at most 20971520 \(gateway\.media\.max_image_bytes\)/u);
  assert.ok(message.length < 300, 'its text is not repeated');
  await sawNothing(large);
});
