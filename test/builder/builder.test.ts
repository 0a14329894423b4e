import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, it, type TestContext } from 'node:test';
import { pino } from 'pino';
import { buildOpenAiApp, defineConfig, type GatewayConfig, GatewayError, LlmServer, OpenAiIngress } from '../../src/index.ts';

const log = pino({ level: 'silent' });
const fake = (id: string): { model_loading_config: { model_id: string }; llm_engine: string } => ({
  model_loading_config: { model_id: id },
  llm_engine: 'fake',
});

function gateway(t: TestContext): GatewayConfig {
  const dir = mkdtempSync(join(tmpdir(), 'builder-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return { state_dir: dir, listen: { port: 0 }, admin: { port: 0 }, workers: 1, log: { level: 'error' }, timeouts: { drain_s: 1 } };
}

const alive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

async function ask(url: string, model: string): Promise<number> {
  const reply = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'hi' }] }),
  });
  await reply.arrayBuffer();
  return reply.status;
}

describe('the builder API', () => {
  it('serves models from one call, and leaves no engine at the end of `await using`', async (t) => {
    let pids: readonly number[] = [];
    {
      await using app = buildOpenAiApp({ llmConfigs: [fake('one')], gateway: gateway(t), log });
      await app.start();
      await app.ready();
      assert.equal(await ask(app.url, 'one'), 200);
      pids = app.status().flatMap(({ replicas }) => replicas.flatMap(({ pid }) => (pid === undefined ? [] : [pid])));
    }
    assert.equal(pids.length, 1);
    assert.deepEqual(pids.filter(alive), []);
  });

  it('refuses options that the installed engine does not know, by their path', async (t) => {
    const settings = gateway(t);
    const dir = settings.state_dir ?? assert.fail('no state directory');
    const help = fileURLToPath(new URL('../fixtures/engines/vllm/help.txt', import.meta.url));
    const engine = join(dir, 'vllm');
    writeFileSync(engine, `#!/bin/sh\ncat ${help}\n`, { mode: 0o755 });
    const former = process.env['XDG_CACHE_HOME'];
    process.env['XDG_CACHE_HOME'] = join(dir, 'cache');
    t.after(() => {
      if (former === undefined) delete process.env['XDG_CACHE_HOME'];
      else process.env['XDG_CACHE_HOME'] = former;
    });
    await using app = buildOpenAiApp({
      llmConfigs: [{ model_loading_config: { model_id: 'one' }, engine_kwargs: { max_modle_len: 1 } }],
      gateway: { ...settings, engines: { vllm: { command: engine } } },
      log,
    });
    await assert.rejects(app.start(), {
      code: 'config_invalid',
      message:
        'applications[0].args.llm_configs[0].engine_kwargs.max_modle_len: no option of the installed vLLM; did you mean "max_model_len"? (gateway.unchecked_kwargs: true would let it through)',
    });
  });

  it('puts servers that were declared apart behind one ingress, below its prefix', async (t) => {
    const servers = [new LlmServer(fake('a')), new LlmServer(fake('b'))];
    await using ingress = new OpenAiIngress({ servers, routePrefix: '/chat', gateway: gateway(t), log });
    await ingress.start();
    await ingress.ready();
    const { data } = (await (await fetch(`${ingress.url}/chat/v1/models`)).json()) as { data: readonly { id: string }[] };
    assert.deepEqual(
      data.map(({ id }) => id).toSorted(),
      servers.map(({ modelId }) => modelId),
    );
    assert.equal(await ask(`${ingress.url}/chat`, 'b'), 200);
  });

  it('takes a whole config', async (t) => {
    await using app = buildOpenAiApp(defineConfig({ llm_configs: [fake('whole')], gateway: gateway(t) }));
    await app.start();
    assert.equal(await ask(app.url, 'whole'), 200);
  });

  it('tells every mistake by its path before anything runs', () => {
    const config = { llm_configs: [{ ...fake('m'), engine_kwarg: {} }], gateway: { workers: 0 } };
    assert.throws(
      () => buildOpenAiApp(config),
      (error) =>
        error instanceof GatewayError &&
        error.code === 'config_invalid' &&
        /llm_configs\[0\]\.engine_kwarg: unknown key "engine_kwarg"; did you mean "engine_kwargs"/.test(error.message) &&
        /gateway\.workers: expected a whole number from 1 to 128, got 0/.test(error.message),
    );
  });

  it('fails to start where the port is taken, and can be stopped all the same', async (t) => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    t.after(() => other.close());
    const address = other.address();
    assert.ok(typeof address === 'object' && address !== null);
    const app = buildOpenAiApp({ llmConfigs: [fake('m')], gateway: { ...gateway(t), listen: { port: address.port } }, log });
    await assert.rejects(app.start(), { code: 'port_in_use' });
    await app.stop();
  });

  it('is told of what the file would be told of: more models than a gateway has room for', (t) => {
    const llmConfigs = Array.from({ length: 4097 }, (_, index) => fake(`m${index}`));
    const settings = { ...gateway(t), engine_ports: { first: 20_000, count: 5000 } };
    assert.throws(() => buildOpenAiApp({ llmConfigs, gateway: settings, log }), {
      code: 'config_invalid',
      message: /llm_configs\[2048\].*expected at most 4096 together/,
    });
  });

  it('says that a model cannot start', async (t) => {
    const config = { ...fake('m'), engine_kwargs: { exit_at: 'boot', exit_code: 2, boot_error: 'fake: error: invalid argument --x' } };
    await using app = buildOpenAiApp({ llmConfigs: [config], gateway: gateway(t), log });
    await app.start();
    await assert.rejects(app.ready(AbortSignal.timeout(10_000)), { code: 'start_failed' });
  });

  it('is started and stopped once', async (t) => {
    const app = buildOpenAiApp({ llmConfigs: [fake('m')], gateway: gateway(t), log });
    assert.throws(() => app.url, { code: 'usage_invalid' });
    await Promise.all([app.start(), app.start()]);
    await Promise.all([app.stop(), app.stop({ now: true })]);
    await assert.rejects(app.start(), { code: 'shutting_down' });
  });
});

describe('engines of one’s own', () => {
  const plugin = fileURLToPath(new URL('../fixtures/my-engine/index.ts', import.meta.url));
  const llmConfigs = [{ model_loading_config: { model_id: 'm' }, llm_engine: 'my-engine', engine_kwargs: { greeting: 'good day' } }];

  it('are imported by the app and its workers, and serve', async (t) => {
    await using app = buildOpenAiApp({ llmConfigs, gateway: { ...gateway(t), plugins: [plugin] }, log });
    await app.start();
    await app.ready();
    assert.equal(await ask(app.url, 'm'), 200);
  });

  it('that are none are told by their place, beside the model that wants one', (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'builder-'));
    t.after(() => rmSync(dir, { recursive: true, force: true }));
    const late = join(dir, 'late.mjs');
    writeFileSync(late, 'await 0; export default {};');
    assert.throws(
      () => buildOpenAiApp({ llmConfigs, gateway: { ...gateway(t), plugins: [late, 'none-such', '/no/such/file.ts'] }, log }),
      (error) =>
        error instanceof GatewayError &&
        error.code === 'config_invalid' &&
        /gateway\.plugins\[0\]: file:\S*late\.mjs: cannot be imported/.test(error.message) &&
        /gateway\.plugins\[1\]: there is no package "none-such"/.test(error.message) &&
        /gateway\.plugins\[2\]: file:\S*: cannot be imported/.test(error.message) &&
        /llm_configs\[0\]\.llm_engine/.test(error.message),
    );
  });
});
