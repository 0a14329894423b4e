import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { AdapterPlace, AdapterRoot } from '../../../src/config/config.ts';
import { adapterName } from '../../../src/core/ids.ts';
import { referenceText } from '../../../src/models/reference.ts';
import { lora as llama } from '../../../src/plugins/llamacpp/lora.ts';
import type { FetchedAdapter } from '../../../src/supervisor/adapters/files.ts';
import { AdapterSources } from '../../../src/supervisor/adapters/sources.ts';
import { StoredFiles } from '../../../src/supervisor/adapters/stored-files.ts';
import { GcsServer } from '../../support/gcs-server.ts';
import { HubServer } from '../../support/hub-server.ts';
import { referenceOf, storeIn, temporaryDir } from '../../support/model-store.ts';
import { skipGcs, skipS3 } from '../../support/object-stores.ts';
import { S3Server } from '../../support/s3-server.ts';

const { signal } = new AbortController();
const config = Buffer.from('{"peft_type": "LORA", "r": 2}');
/** A file of that kind without tensors, but with a word. */
function safetensors(word: string): Buffer {
  const header = Buffer.from(JSON.stringify({ __metadata__: { word } }));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, header]);
}
const pirate = fileURLToPath(new URL('../../fixtures/models/pirate', import.meta.url));

interface Given {
  readonly root?: AdapterRoot;
  readonly listed?: Readonly<Record<string, AdapterPlace>>;
  readonly env?: Record<string, string>;
  readonly rules?: ConstructorParameters<typeof AdapterSources>[1];
  /** Of the cache. */
  readonly dir?: string;
}

function sourcesOf(
  t: TestContext,
  { root, listed = {}, env = {}, rules = { format: 'peft' }, dir = temporaryDir(t) }: Given,
): AdapterSources {
  const places = { root, listed: Object.entries(listed).map(([name, place]) => ({ name: adapterName(name), place })) };
  const deps = { store: storeIn(dir), env, format: rules.format, trustRemoteCode: false, timeoutMs: undefined };
  return new AdapterSources(places, rules, new StoredFiles(deps));
}

const remote = (text: string): AdapterPlace => {
  const reference = referenceOf(text);
  return { kind: 'remote', value: referenceText(reference), reference };
};

/** Fetches and lets go at once. */
async function fetched(sources: AdapterSources, name: string): Promise<FetchedAdapter> {
  const files = await sources.fetch(adapterName(name), signal);
  files.release();
  return files;
}

describe('adapters on this machine', () => {
  it('are found by their names, listed ones first, and read where they are', async (t) => {
    const dir = temporaryDir(t);
    for (const name of ['a', 'b', 'c']) mkdirSync(join(dir, name));
    for (const name of ['a', 'b']) writeFileSync(join(dir, name, 'adapter_config.json'), config);
    writeFileSync(join(dir, 'README.md'), 'no adapter');
    const sources = sourcesOf(t, { root: { kind: 'path', value: dir }, listed: { 'team/p': { kind: 'path', value: pirate } } });
    assert.deepEqual(await sources.list(signal), ['a', 'b', 'c', 'team/p']);
    assert.equal((await fetched(sources, 'team/p')).path, pirate);
    assert.equal((await fetched(sources, 'a')).path, join(dir, 'a'));
    assert.notEqual((await fetched(sources, 'a')).handle, (await fetched(sources, 'b')).handle);
    await assert.rejects(fetched(sources, 'c'), { code: 'adapter_not_found', message: /no adapter_config\.json/ });
    await assert.rejects(fetched(sources, 'd'), { code: 'adapter_not_found', message: /no adapter "d" in/ });
  });

  it('have another revision when a file of theirs changes, and a pinned one is that or nothing', async (t) => {
    const dir = temporaryDir(t);
    mkdirSync(join(dir, 'a'));
    const file = join(dir, 'a', 'adapter_config.json');
    writeFileSync(file, config);
    const sources = sourcesOf(t, { root: { kind: 'path', value: dir } });
    const before = await fetched(sources, 'a');
    assert.deepEqual(await sources.known(before.handle, signal).then((known) => known?.adapter), 'a');
    assert.equal((await fetched(sources, `a@${before.revision}`)).revision, before.revision);
    utimesSync(file, new Date(), new Date(1_700_000_000_000));
    const after = await fetched(sources, 'a');
    assert.notEqual(after.handle, before.handle);
    assert.equal(await sources.known(before.handle, signal), undefined);
    await assert.rejects(fetched(sources, `a@${before.revision}`), { code: 'adapter_not_found', message: new RegExp(after.revision) });
  });

  it('are not outside of their directory', async (t) => {
    const [dir, outside] = [temporaryDir(t), temporaryDir(t)];
    writeFileSync(join(outside, 'adapter_config.json'), config);
    symlinkSync(outside, join(dir, 'link'));
    const sources = sourcesOf(t, { root: { kind: 'path', value: dir } });
    await assert.rejects(fetched(sources, 'link'), { code: 'adapter_not_found' });
  });

  it('are GGUF files for an engine that reads those; what is no adapter is refused before the engine sees it', async (t) => {
    const dir = temporaryDir(t);
    copyFileSync(`${pirate}.gguf`, join(dir, 'pirate.gguf'));
    mkdirSync(join(dir, 'folder'));
    copyFileSync(`${pirate}.gguf`, join(dir, 'folder', 'weights.gguf'));
    mkdirSync(join(dir, 'peft'));
    writeFileSync(join(dir, 'peft', 'adapter_config.json'), config);
    writeFileSync(join(dir, 'broken.gguf'), 'GGUF');
    writeFileSync(join(dir, 'text.gguf'), 'hello, this is no file of that kind');
    copyFileSync(fileURLToPath(new URL('../../fixtures/models/mmproj-colour.gguf', import.meta.url)), join(dir, 'vision.gguf'));
    copyFileSync(`${pirate}.gguf`, join(dir, 'a:b.gguf'));
    const named: AdapterPlace = { kind: 'path', value: join(dir, 'a:b.gguf') };
    const sources = sourcesOf(t, { root: { kind: 'path', value: dir }, listed: { colon: named }, rules: llama });
    assert.deepEqual(await sources.list(signal), ['broken', 'colon', 'folder', 'peft', 'pirate', 'text', 'vision']);
    assert.equal((await fetched(sources, 'pirate')).path, join(dir, 'pirate.gguf'));
    assert.equal((await fetched(sources, 'folder')).path, join(dir, 'folder', 'weights.gguf'));
    await assert.rejects(fetched(sources, 'peft'), { code: 'adapter_not_found', message: /0 GGUF files; expected a GGUF file/ });
    for (const [name, message] of [
      ['broken', /cannot be read/],
      ['text', /no GGUF file/],
      ['vision', /no LoRA adapter, but a GGUF file of type/],
      ['colon', /without a comma or a colon/],
    ] as const)
      await assert.rejects(fetched(sources, name), { code: 'adapter_invalid', message });
  });
});

const put = async (server: S3Server, name: string, weights: string): Promise<void> => {
  await server.put('bucket', `loras/${name}/adapter_config.json`, config);
  await server.put('bucket', `loras/${name}/adapter_model.safetensors`, safetensors(weights));
};

describe('adapters in a bucket on a real S3 server', { skip: skipS3 }, () => {
  it('are brought here once, whole, and again only when they have changed', async (t) => {
    await using server = await S3Server.start();
    await server.createBucket('bucket', { anonymous: true });
    await put(server, 'a', 'one');
    await server.put('bucket', 'loras/model/config.json', config);
    const dir = temporaryDir(t);
    const given = { root: remote('s3://anonymous@bucket/loras'), env: { AWS_ENDPOINT_URL: server.url, AWS_REGION: 'us-east-1' }, dir };
    const sources = sourcesOf(t, given);
    const same = await Promise.all(Array.from({ length: 10 }, () => fetched(sources, 'a')));
    const [first] = same;
    assert.ok(first !== undefined);
    assert.equal(new Set(same.map(({ path }) => path)).size, 1);
    assert.deepEqual(readdirSync(first.path).sort(), ['adapter_config.json', 'adapter_model.safetensors']);
    await put(server, 'a', 'two');
    const second = await fetched(sources, 'a');
    assert.notEqual(second.handle, first.handle);
    assert.ok(readFileSync(join(second.path, 'adapter_model.safetensors')).equals(safetensors('two')));
    // What was here before is there as long as the cache has it.
    assert.equal((await fetched(sources, `a@${first.revision}`)).path, first.path);
    await assert.rejects(fetched(sources, 'a@0123456789ab'), { code: 'adapter_not_found', message: new RegExp(second.revision) });
    await assert.rejects(fetched(sources, 'model'), {
      code: 'adapter_not_found',
      message: /s3:\/\/anonymous@bucket\/loras\/model .*no adapter_config\.json/,
    });
    await server.put('bucket', 'loras/broken/adapter_config.json', config);
    await server.put('bucket', 'loras/broken/adapter_model.safetensors', Buffer.from('no header'));
    await assert.rejects(fetched(sources, 'broken'), { code: 'adapter_invalid', message: /damaged/ });
    await assert.rejects(fetched(sources, 'none'), { code: 'adapter_not_found' });
    assert.deepEqual(await sources.list(signal), ['a', 'broken', 'model']);
    // A gateway that takes over the engine of another knows what it has by the cache alone.
    const later = sourcesOf(t, { ...given, env: { AWS_ENDPOINT_URL: 'http://127.0.0.1:1', AWS_REGION: 'us-east-1' } });
    for (const files of [first, second]) assert.equal((await later.known(files.handle, signal))?.files.path, files.path);
    assert.equal(await later.known('a.0123456789ab', signal), undefined);
  });

  it('need the right key, and stay as long as they are held', async (t) => {
    await using server = await S3Server.start();
    await server.createBucket('bucket');
    await put(server, 'a', 'one');
    const dir = temporaryDir(t);
    const root = remote('s3://bucket/loras');
    const files = await sourcesOf(t, { root, env: server.env, dir }).fetch(adapterName('a'), signal);
    files.keep();
    files.release();
    const { cache } = storeIn(dir);
    assert.equal(await cache.remove(cache.list()[0]?.id ?? '', signal), 'in-use');
    files.release();
    assert.equal(await cache.remove(cache.list()[0]?.id ?? '', signal), 'removed');
    const wrong = sourcesOf(t, { root, env: { ...server.env, AWS_SECRET_ACCESS_KEY: 'not the secret' } });
    await assert.rejects(fetched(wrong, 'a'), { code: 'adapter_unavailable' });
    await assert.rejects(wrong.list(signal), { code: 'adapter_unavailable' });
  });
});

it('adapters in a bucket of Google’s are listed and brought here', { skip: skipGcs }, async (t) => {
  await using server = await GcsServer.start();
  await server.createBucket('bucket');
  for (const name of ['a', 'b']) await server.put('bucket', `loras/${name}/adapter_config.json`, config);
  const sources = sourcesOf(t, { root: remote('gs://bucket/loras'), env: server.env });
  assert.deepEqual(await sources.list(signal), ['a', 'b']);
  assert.deepEqual(readdirSync((await fetched(sources, 'a')).path), ['adapter_config.json']);
});

it('adapters of the model hub are named by their repositories, below an owner or not', async (t) => {
  await using hub = await HubServer.start([{ path: 'adapter_config.json', body: config }]);
  const own = sourcesOf(t, { root: { kind: 'hub', value: 'hf://owner', owner: 'owner' }, env: hub.env });
  const any = sourcesOf(t, { root: { kind: 'hub', value: 'hf://', owner: undefined }, env: hub.env });
  for (const [sources, name] of [
    [own, 'repo'],
    [any, 'owner/repo'],
  ] as const) {
    assert.deepEqual(readdirSync((await fetched(sources, name)).path), ['adapter_config.json']);
    assert.deepEqual(await sources.list(signal), [], 'a hub is not listed');
  }
  await assert.rejects(fetched(any, 'repo'), { code: 'adapter_not_found', message: /expected owner\/name/ });
  await assert.rejects(fetched(own, 'owner/repo'), { code: 'adapter_not_found', message: /expected a name/ });
});

it('a directory that is gone is told, and is no reason to forget what there was', async (t) => {
  const dir = join(temporaryDir(t), 'gone');
  mkdirSync(dir);
  const sources = sourcesOf(t, { root: { kind: 'path', value: dir } });
  rmSync(dir, { recursive: true });
  await assert.rejects(sources.list(signal), { code: 'adapter_unavailable', message: /Cannot read/ });
});
