import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import type { Control } from '../../src/admin/api.ts';
import { adminDocument, adminRoutes } from '../../src/admin/openapi.ts';
import { buildAdmin } from '../../src/admin/server.ts';
import { dataDocument } from '../../src/gateway/openapi/document.ts';
import type { OpenApiDocument } from '../../src/gateway/openapi/parts.ts';
import { fakeModel, startGateway } from '../support/gateway-process.ts';

/** The document with what it refers to in place. */
function inPlace(document: OpenApiDocument): OpenApiDocument {
  const look = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(look);
    if (typeof value !== 'object' || value === null) return value;
    if ('$ref' in value) {
      const found = String(value.$ref)
        .slice(2)
        .split('/')
        .reduce<unknown>((here, step) => (here as Record<string, unknown>)[step], document);
      assert.ok(found !== undefined, `${String(value.$ref)} is there`);
      return look(found);
    }
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, look(inner)]));
  };
  return look(JSON.parse(JSON.stringify(document))) as OpenApiDocument;
}

/** What `printRoutes` shows as a star. */
const enginePath = '/engines/{replica}/{path}';

type Responses = Readonly<Record<string, { readonly content?: Readonly<Record<string, { readonly schema?: object }>> }>>;
type Written = Readonly<Record<string, { readonly content: Readonly<Record<string, { readonly example?: object }>> }>>;

/** Fails where a reply is none of those that the document has for a route. */
async function conforms(document: OpenApiDocument, method: string, path: string, reply: Response): Promise<number> {
  const place = `${method} ${path}: ${reply.status}`;
  const { responses } = (document.paths[path]?.[method] ?? {}) as { responses?: Responses };
  const stated = responses?.[String(reply.status)];
  assert.ok(stated !== undefined, `${place} is in the document`);
  const type = (reply.headers.get('content-type') ?? '').split(';')[0] ?? '';
  const schema = stated.content?.[type]?.schema ?? assert.fail(`${place}: ${type} is in the document`);
  const text = await reply.text();
  const parsed = z.fromJSONSchema(schema as z.core.JSONSchema.JSONSchema).safeParse(type === 'application/json' ? JSON.parse(text) : text);
  assert.ok(parsed.success, `${place}: ${text}: ${parsed.error?.message}`);
  return reply.status;
}

test('every route answers as its OpenAPI document says: its example, an empty body, a model that is not there, no key', async (t) => {
  const key = 'openapi-key-0123456789';
  const gateway = await startGateway(t, [fakeModel('my-model', { max_model_len: 2048 })], { more: { keys: [{ name: 'k', key }] } });
  const document = inPlace(dataDocument());
  const bearer = { authorization: `Bearer ${key}` };
  const form = new FormData();
  form.set('model', 'my-model');
  form.set('file', new Blob(['RIFF']), 'a.wav');
  for (const [path, methods] of Object.entries(document.paths)) {
    const url = gateway.url + path.replace('{model}', 'my-model');
    const send = (body: string | FormData, headers: Readonly<Record<string, string>>): Promise<Response> =>
      fetch(url, { method: 'POST', headers, body });
    const { get, post } = methods;
    if (get !== undefined) {
      assert.equal(await conforms(document, 'get', path, await fetch(url, { headers: bearer })), 200);
      if ('security' in get) assert.equal(await conforms(document, 'get', path, await fetch(url)), 401);
    }
    if (post === undefined) continue;
    const [[type, { example }] = assert.fail(path)] = Object.entries((post as Written)['requestBody']?.content ?? {});
    const json = { ...bearer, 'content-type': type };
    const bodies = [
      [example, 200],
      [{}, 400],
      [{ ...example, model: 'nope' }, 404],
    ] as const;
    if (example === undefined) assert.equal(await conforms(document, 'post', path, await send(form, bearer)), 200);
    else
      for (const [body, status] of bodies)
        assert.equal(
          await conforms(document, 'post', path, await send(JSON.stringify(body), json)),
          status,
          `${path} ${JSON.stringify(body)}`,
        );
    assert.equal(await conforms(document, 'post', path, await send('{}', { 'content-type': type })), 401);
  }
  const missing = await fetch(`${gateway.url}/v1/models/nope`, { headers: bearer });
  assert.equal(await conforms(document, 'get', '/v1/models/{model}', missing), 404);
  const { error } = (await (await fetch(`${gateway.url}/nope`)).json()) as { error: { message: string } };
  const listed = /Routes: (.*)\.$/.exec(error.message)?.[1]?.split(', ') ?? [];
  assert.deepEqual(listed.map((route) => route.replace('{id}', '{model}')).sort(), Object.keys(document.paths).sort());
});

/** Of fastify's drawing of its routes, in which each stands below the one that it begins with: `GET /path`, … */
function routesOf(drawing: string): string[] {
  const above: string[] = [];
  return [...drawing.matchAll(/^(.*)── (\S+) \(([A-Z, ]+)\)$/gmu)].flatMap(([, indent = '', part = '', methods = '']) => {
    const depth = Math.floor(indent.length / 4);
    above.length = depth;
    const path = part === '*' ? enginePath : above.join('') + part;
    above.push(part);
    return ['GET', 'POST'].filter((method) => methods.split(', ').includes(method)).map((method) => `${method} ${path}`);
  });
}

for (const origin of ['tcp', 'socket'] as const)
  test(`the admin plane has the routes of its document and no others (${origin})`, async (t) => {
    const deps = { metrics: () => Promise.resolve(''), control: {} as unknown as Control, sha256: undefined, allowedHosts: [] };
    const app = buildAdmin(deps, origin);
    t.after(() => app.close());
    await app.ready();
    const served = routesOf(app.printRoutes({ commonPrefix: false }));
    const stated = adminRoutes
      .filter(({ only }) => only === undefined || only === origin)
      .map(({ method, path }) => `${method.toUpperCase()} ${path}`);
    assert.deepEqual(served.sort(), stated.sort());
  });

test('the admin plane answers as its document says, and serves both', async (t) => {
  const gateway = await startGateway(t, [fakeModel('my-model')]);
  const document = inPlace(adminDocument());
  const ask = (path: string, init?: RequestInit): Promise<Response> => fetch(gateway.adminUrl + path, init);
  for (const path of ['/metrics', '/api/status', '/api/plan', '/api/autoscale', '/api/adapters', '/openapi.json', '/openapi-admin.json'])
    await conforms(document, 'get', path, await ask(path));
  await conforms(document, 'get', '/api/plan', await ask('/api/plan?nonsense=1'));
  await conforms(document, 'get', '/api/adapters', await ask('/api/adapters?model=nope'));
  const post = (path: string, body: object): Promise<Response> =>
    ask(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
  for (const [path, body] of [
    ['/api/reload', {}],
    ['/api/scale', { model: 'my-model', replicas: 1 }],
    ['/api/scale', { model: 'nope', replicas: 1 }],
    ['/api/scale', { model: 'my-model' }],
    ['/api/adapters/load', { adapter: 'nope:a' }],
    ['/api/adapters/unload', { adapter: 'nope:a' }],
    ['/api/adapters/refresh', {}],
    ['/api/restart', { target: 'my-model' }],
    ['/api/restart', { target: 'nope' }],
    ['/api/stop', { drain_s: -1 }],
  ] as const)
    await conforms(document, 'post', path, await post(path, body));
  const wrong = await ask('/api/status', { method: 'DELETE', headers: { 'content-type': 'application/json' } });
  assert.deepEqual([wrong.status, wrong.headers.get('allow')], [405, 'GET']);
  assert.deepEqual(await (await ask('/openapi.json')).json(), JSON.parse(JSON.stringify(dataDocument())));
  assert.deepEqual(await (await ask('/openapi-admin.json')).json(), JSON.parse(JSON.stringify(adminDocument())));
  await conforms(document, 'post', '/api/stop', await post('/api/stop', { now: true }));
});
