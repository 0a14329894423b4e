import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { HubServer } from '../support/hub-server.ts';
import type { HubFile } from '../support/hub-server.ts';
import { gguf, options, referenceOf, storeIn, temporaryDir } from '../support/model-store.ts';

const repo = referenceOf('hf://owner/repo');
const body = gguf(700_000);
const files: readonly HubFile[] = [
  { path: 'config.json', body: Buffer.from('{}') },
  { path: 'folder/q4 ü.gguf', body, lfs: true },
];

async function fetched(t: TestContext, hub: HubServer, source = 'hf://owner/repo', env: Record<string, string> = {}): Promise<string> {
  const lease = await storeIn(temporaryDir(t)).fetch(referenceOf(source), options({ ...hub.env, ...env }));
  lease.release();
  return lease.path;
}

describe('a repository of the model hub', () => {
  it('is brought here, large files in parts from the host that it redirects to', async (t) => {
    await using hub = await HubServer.start(files);
    hub.pageSize = 1;
    const path = await fetched(t, hub);
    assert.deepEqual(readdirSync(path).sort(), ['config.json', 'folder']);
    assert.ok(readFileSync(join(path, 'folder/q4 ü.gguf')).equals(body));
    assert.equal(hub.seen.filter(({ host }) => host === 'storage').length, 3, 'parts of 256 KB');
    assert.equal(hub.seen.filter(({ path: at }) => at.includes('/tree/')).length, 2, 'pages of one file');
  });

  it('gets the token, and the host that it redirects to does not', async (t) => {
    await using hub = await HubServer.start(files);
    hub.token = 'hf_right';
    await fetched(t, hub, 'hf://owner/repo', { HF_TOKEN: 'hf_right' });
    for (const { host, authorization } of hub.seen) assert.equal(authorization, host === 'hub' ? 'Bearer hf_right' : undefined);
    assert.ok(hub.seen.some(({ host }) => host === 'storage'));
  });

  for (const [what, env, status] of [
    ['without a token', {}, 401],
    ['with the token of one who may not', { HF_TOKEN: 'hf_wrong' }, 403],
  ] as const)
    it(`that is gated is refused ${what}, and nothing is asked twice`, async (t) => {
      await using hub = await HubServer.start(files);
      hub.token = 'hf_right';
      await assert.rejects(fetched(t, hub, 'hf://owner/repo', env), (error: Error & { problem?: string }) => {
        assert.equal(error.problem, 'forbidden');
        assert.match(error.message, new RegExp(`hf://owner/repo: access denied \\(${status}\\)\\. .*needs HF_TOKEN.*accepted its terms`));
        assert.doesNotMatch(error.message, /hf_wrong/);
        return true;
      });
      assert.equal(hub.seen.length, 1);
    });

  it('gives one file of it', async (t) => {
    await using hub = await HubServer.start(files);
    const path = await fetched(t, hub, 'hf://owner/repo/folder/q4 ü.gguf');
    assert.ok(readFileSync(path).equals(body));
    assert.match(path, /\/files\/q4 ü\.gguf$/);
    await assert.rejects(fetched(t, hub, 'hf://owner/repo/other.gguf'), { problem: 'missing' });
  });

  it('is pinned to the commit that its branch was when it was listed', async (t) => {
    await using hub = await HubServer.start(files);
    const store = storeIn(temporaryDir(t));
    const first = await store.fetch(repo, options(hub.env));
    const fresh = gguf(300_000);
    const commit = hub.commit([
      { path: 'config.json', body: Buffer.from('{}') },
      { path: 'folder/q4 ü.gguf', body: fresh, lfs: true },
    ]);
    const second = await store.fetch(repo, options(hub.env));
    assert.ok(readFileSync(join(first.path, 'folder/q4 ü.gguf')).equals(body));
    assert.ok(readFileSync(join(second.path, 'folder/q4 ü.gguf')).equals(fresh));
    const resolved = hub.seen.flatMap(({ path }) => /\/resolve\/([^/]+)\//.exec(path)?.[1] ?? []);
    assert.ok(
      resolved.every((revision) => /^[0-9a-f]{40}$/.test(revision)),
      'never by a name that moves',
    );
    assert.equal(resolved.at(-1), commit);
    first.release();
    second.release();
  });

  it('is fetched at a commit that is named', async (t) => {
    await using hub = await HubServer.start(files);
    const commit = hub.commit([{ path: 'w.gguf', body: gguf(1000) }]);
    hub.commit([{ path: 'w.gguf', body: gguf(2000) }]);
    const path = await fetched(t, hub, `hf://owner/repo@${commit}`);
    assert.equal(readFileSync(path).length, 1000);
    await assert.rejects(fetched(t, hub, 'hf://owner/repo@no-such-branch'), {
      problem: 'missing',
      message: /hf:\/\/owner\/repo@no-such-branch: not found \(404\)\. Check the owner, the repository, the revision and the file/,
    });
  });

  it('is refused where a large file is not what its SHA-256 says', async (t) => {
    await using hub = await HubServer.start(files);
    await using other = await HubServer.start([]);
    hub.redirect = `${other.url}/owner/repo/resolve/${other.commit([{ path: 'x', body: gguf(700_000) }])}/x`;
    await assert.rejects(fetched(t, hub), { problem: 'checksum', message: /sha256 [0-9a-f]{64}, expected [0-9a-f]{64}.*fetched twice/ });
  });

  it('is refused where it redirects away from TLS', async (t) => {
    await using hub = await HubServer.start(files);
    hub.redirect = 'http://192.0.2.1/weights';
    await assert.rejects(fetched(t, hub), { problem: 'unsafe', message: /redirects to http:\/\/192\.0\.2\.1, which is not https/ });
  });
});
