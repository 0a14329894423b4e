import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { plainPng } from '../../src/conformance/png.ts';
import { startGateway } from '../support/gateway-process.ts';
import { realEngine, realModel, skipReal } from '../support/quickstart.ts';

const mmproj = fileURLToPath(new URL('../fixtures/models/mmproj-colour.gguf', import.meta.url));
const colours = { red: [255, 0, 0], green: [0, 255, 0] } as const;

describe('images by URL, seen by a real llama-server', { skip: skipReal }, () => {
  test('the gateway fetches them, each API’s way, and the model tells their colours; the engine fetches nothing', async (t) => {
    const fetchedBy: (string | undefined)[] = [];
    const server = createServer((request, response) => {
      fetchedBy.push(request.headers['user-agent']);
      const colour = request.url === '/red.png' ? colours.red : colours.green;
      response.writeHead(200, { 'content-type': 'image/png' }).end(plainPng(64, colour));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    const { port } = server.address() as AddressInfo;
    const more = { ...realEngine, media: { allowed_hosts: ['127.0.0.1'] } };
    const gateway = await startGateway(t, [realModel(1, { mmproj })], { more });
    const ask = async (path: string, body: object): Promise<string> => {
      const reply = await fetch(gateway.url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'smollm2-135m', temperature: 0, ...body }),
      });
      const text = await reply.text();
      assert.equal(reply.status, 200, text);
      return text;
    };
    const question = 'What color is the image?';
    for (const colour of ['red', 'green'] as const) {
      const url = `http://127.0.0.1:${port}/${colour}.png`;
      const chat = [
        { type: 'image_url', image_url: { url } },
        { type: 'text', text: question },
      ];
      assert.match(
        await ask('/v1/chat/completions', { max_tokens: 32, messages: [{ role: 'user', content: chat }] }),
        new RegExp(colour, 'iu'),
      );
      const anthropic = [
        { type: 'image', source: { type: 'url', url } },
        { type: 'text', text: question },
      ];
      assert.match(
        await ask('/v1/messages', { max_tokens: 32, messages: [{ role: 'user', content: anthropic }] }),
        new RegExp(colour, 'iu'),
      );
    }
    assert.deepEqual(new Set(fetchedBy), new Set(['roundhouse']));
    const inside = [{ type: 'image_url', image_url: { url: `http://[::ffff:127.0.0.1]:${port}/red.png` } }];
    const refused = await gateway.post({ model: 'smollm2-135m', messages: [{ role: 'user', content: inside }] });
    assert.deepEqual([refused.status, /media_refused/u.test(await refused.text())], [400, true]);
    assert.equal(fetchedBy.length, 4);
  });
});
