// Row 106, in a network of its own, where this machine has an address of the public internet, and all names are ours; see images.test.ts.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test, type TestContext } from 'node:test';
import { plainPng } from '../../../src/conformance/png.ts';
import { startGateway } from '../../support/gateway-process.ts';
import { nameServer } from './name-server.ts';
import { model } from './row.ts';
import { remoteEngine } from './remote-engine.ts';
import { publicAddress } from './rebinding.ts';

const inside = '127.0.0.1';
const port = 8080;
const red = plainPng(4, [255, 0, 0]);
const blue = plainPng(4, [0, 0, 255]);

/** Red on the public address, blue inside; both lead elsewhere. Tells where each request came in. */
async function imageHosts(t: TestContext): Promise<readonly string[]> {
  const asked: string[] = [];
  for (const [address, png] of [
    [publicAddress, red],
    [inside, blue],
    ['::1', blue],
  ] as const) {
    const server = createServer((request, response) => {
      asked.push(`${request.socket.localAddress} ${request.headers.host}${request.url}`);
      const to = /^\/to\/(.+)$/u.exec(request.url ?? '')?.[1];
      if (to === undefined) response.writeHead(200, { 'content-type': 'image/png' }).end(png);
      else response.writeHead(302, { location: decodeURIComponent(to) }).end();
    });
    server.listen(port, address);
    await once(server, 'listening');
    t.after(() => server.close());
  }
  return asked;
}

const withImage = (url: string): object => ({
  model: 'm',
  messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url } }] }],
});

test('a name is looked up once, and what was looked at is what is connected to', async (t) => {
  const asked = await imageHosts(t);
  const names = await nameServer(t, (type, name, time) => {
    if (type !== 'A') return name === 'six.example' ? ['::1', '64:ff9b::7f00:1'] : [];
    if (name === 'turns.example' || name === 'back.example') return [time === 0 ? publicAddress : inside];
    if (name === 'both.example') return [inside, publicAddress];
    return name === 'leads.example' ? [publicAddress] : [inside];
  });
  const gateway = await startGateway(t, [model('m')]);
  const [replica] = (await gateway.status())[0]?.replicas ?? [];
  const engine = await remoteEngine(replica?.pid ?? assert.fail('no engine'), replica?.upstream ?? '');
  const at = (host: string, path = '/a.png'): string => `http://${host}:${port}${path}`;
  const isFetched = async (host: string): Promise<void> => {
    const response = await gateway.post(withImage(at(host)));
    assert.equal(response.status, 200, await response.text());
    const { seen } = await engine.state();
    assert.deepEqual(JSON.parse(seen.at(-1)?.body ?? ''), withImage(`data:image/png;base64,${red.toString('base64')}`));
  };
  const isRefused = async (host: string, path?: string): Promise<void> => {
    const response = await gateway.post(withImage(at(host, path)));
    const { error } = (await response.json()) as { readonly error: { readonly code: string } };
    assert.deepEqual([response.status, error.code], [400, 'media_refused'], host);
  };

  // The second answer would lead inside: nobody asks for one.
  await isFetched('turns.example');
  assert.deepEqual(names.asked.toSorted(), ['A turns.example', 'AAAA turns.example']);
  assert.deepEqual(asked, [`${publicAddress} turns.example:${port}/a.png`]);
  // Of the next request it is the first.
  await isRefused('turns.example');
  await isFetched('both.example');
  await isRefused('six.example');
  await isRefused('leads.example', `/to/${encodeURIComponent(at('inside.example'))}`);
  // A redirect to the same name is looked up anew, and found to lead inside by now.
  await isRefused('back.example', `/to/${encodeURIComponent(at('back.example'))}`);
  assert.ok(
    asked.every((request) => request.startsWith(`${publicAddress} `)),
    asked.join('\n'),
  );
  assert.equal(asked.length, 4);
  assert.equal((await engine.state()).requests, 2);
});
