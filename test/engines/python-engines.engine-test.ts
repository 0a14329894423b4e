import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { ConformanceReport } from '../../src/cli/conformance.ts';
import { keepReport } from '../support/conformance-report.ts';
import { type GatewayProcess, runGateway, startGateway } from '../support/gateway-process.ts';
import { processesOf } from '../support/processes.ts';
import { until } from '../support/until.ts';

const adapters = fileURLToPath(new URL('../fixtures/models/', import.meta.url));

interface EngineUnderTest {
  readonly name: string;
  /** As people write it. */
  readonly title: string;
  /** As in its own `/version` or `/server_info`. */
  readonly version: string;
  readonly executable: string | undefined;
  readonly kwargs: object;
  readonly env: Readonly<Record<string, string>>;
  /** Scenarios that must be seen to work, beside those that every model must pass. */
  readonly mustWork: readonly string[];
  /** In the log while it starts. */
  readonly phase: RegExp;
  /** The process that computes, by its name or command line. */
  readonly worker: RegExp;
  readonly versionPath: string;
  readonly lora: { readonly load: string; readonly unload: string; named(this: void, base: string, adapter: string): string };
}

const structured = ['stop', 'n', 'logprobs', 'json_schema', 'json_schema-raw', 'tools', 'abort'];

const engines: readonly EngineUnderTest[] = [
  {
    name: 'vllm',
    title: 'vLLM',
    version: '0.32.0',
    executable: process.env['ROUNDHOUSE_TEST_VLLM'],
    kwargs: {
      enforce_eager: true,
      max_model_len: 2048,
      max_num_seqs: 4,
      max_loras: 2,
      max_lora_rank: 8,
      gpu_memory_utilization: 0.2,
      enable_auto_tool_choice: true,
      tool_call_parser: 'hermes',
    },
    env: { VLLM_CPU_KVCACHE_SPACE: '1' },
    mustWork: [...structured, 'seed', 'guided_choice'],
    phase: /loading weights/,
    worker: /VLLM::EngineCor/,
    versionPath: '/version',
    lora: { load: '/v1/load_lora_adapter', unload: '/v1/unload_lora_adapter', named: (_, adapter) => adapter },
  },
  {
    name: 'sglang',
    title: 'SGLang',
    version: '0.5.23',
    executable: process.env['ROUNDHOUSE_TEST_SGLANG'],
    kwargs: {
      device: 'cpu',
      attention_backend: 'torch_native',
      lora_backend: 'torch_native',
      disable_overlap_schedule: true,
      context_length: 2048,
      max_total_tokens: 8192,
      mem_fraction_static: 0.2,
      max_running_requests: 4,
      max_lora_rank: 8,
      lora_target_modules: ['o_proj', 'down_proj'],
    },
    env: { SGLANG_USE_CPU_ENGINE: '1' },
    mustWork: structured,
    phase: /loading weights/,
    worker: /sglang::scheduler/,
    versionPath: '/server_info',
    lora: { load: '/load_lora_adapter', unload: '/unload_lora_adapter', named: (base, adapter) => `${base}:${adapter}` },
  },
];

const model = 'smollm2-135m';
const ask = (content: string, more: object = {}): object => ({ model, messages: [{ role: 'user', content }], temperature: 0, ...more });

async function start(t: TestContext, engine: EngineUnderTest): Promise<GatewayProcess> {
  const configured = {
    model_loading_config: { model_id: model, model_source: process.env['ROUNDHOUSE_TEST_HF_MODEL'] },
    llm_engine: engine.name,
    engine_kwargs: engine.kwargs,
    lora_config: { max_num_adapters_per_replica: 2 },
    gateway: { gpus: 0, env: { HF_HUB_OFFLINE: '1', ...engine.env } },
  };
  return await startGateway(t, [configured], {
    more: { engines: { [engine.name]: { command: engine.executable } }, timeouts: { drain_s: 60 } },
  });
}

/** The engine itself, behind the gateway: for what the gateway does not do in this version. */
async function direct(gateway: GatewayProcess): Promise<{ readonly base: string; ask(path: string, body?: object): Promise<Response> }> {
  const pid = await serverPid(gateway);
  const args = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0');
  const environment = (await readFile(`/proc/${pid}/environ`, 'utf8')).split('\0');
  const after = (flag: string): string => args[args.indexOf(flag) + 1] ?? assert.fail(flag);
  const fromEnvironment = environment.find((entry) => /^\w+_API_KEY=/.test(entry))?.split('=')[1];
  const key = fromEnvironment ?? after('--api-key');
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  return {
    base: after('--served-model-name'),
    ask: (path, body) =>
      fetch(
        `http://127.0.0.1:${after('--port')}${path}`,
        body === undefined ? { headers } : { method: 'POST', headers, body: JSON.stringify(body) },
      ),
  };
}

const serverPid = async (gateway: GatewayProcess): Promise<number> => (await gateway.status())[0]?.replicas[0]?.pid ?? assert.fail();

/** Resolves when it is ready after so many restarts: the terminal says so each time. */
async function readyAgain(gateway: GatewayProcess, restarts: number): Promise<void> {
  await gateway.printed(new RegExp(`(?:${model}: ready[\\s\\S]*){${restarts + 1}}`));
  assert.equal((await gateway.status())[0]?.replicas[0]?.restarts, restarts);
}

for (const engine of engines) {
  const skip = engine.executable === undefined ? 'not installed: npm run test:engines does it' : false;
  test(`a real ${engine.name} ${engine.version}, on the CPU`, { skip }, async (t) => {
    const gateway = await start(t, engine);
    assert.match(gateway.output(), engine.phase);
    const real = await direct(gateway);

    await t.test('is the version that was pinned', async () => {
      assert.match(await (await real.ask(engine.versionPath)).text(), new RegExp(`"version": ?"${engine.version}`));
    });

    await t.test('conforms', async () => {
      const args = ['--state-dir', gateway.stateDir, '--model', model, '--require', engine.mustWork.join(), '--json'];
      const { code, stdout, stderr } = await runGateway(['conformance', ...args]);
      assert.equal(code, 0, stdout + stderr);
      const about = { engine: engine.title, version: engine.version, model: 'SmolLM2-135M-Instruct bf16, CPU' };
      await keepReport(`${engine.name}.json`, about, JSON.parse(stdout) as ConformanceReport);
    });

    await t.test('loads two adapters while it runs, answers with each, and lets one go', async () => {
      const { load, unload, named } = engine.lora;
      const said = async (name: string): Promise<string> =>
        await (await real.ask('/v1/chat/completions', { ...ask('Tell me about horses.', { max_tokens: 12 }), model: name })).text();
      for (const name of ['pirate', 'shout']) {
        const loaded = await real.ask(load, { lora_name: name, lora_path: adapters + name });
        assert.equal(loaded.status, 200, await loaded.text());
      }
      assert.match(await said(named(real.base, 'pirate')), /Arrr/);
      assert.match(await said(named(real.base, 'shout')), /HELLO/);
      assert.doesNotMatch(await said(real.base), /Arrr|HELLO/);
      assert.equal((await real.ask(unload, { lora_name: 'pirate' })).status, 200);
      const { data } = (await (await real.ask('/v1/models')).json()) as { data: readonly { id: string }[] };
      const ids = data.map(({ id }) => id);
      assert.ok(ids.some((id) => id.endsWith('shout')) && !ids.some((id) => id.endsWith('pirate')), ids.join());
    });

    await t.test('kill -9 of its worker: nothing of it stays, it starts again, and who waited is answered', async () => {
      const server = await serverPid(gateway);
      const group = await processesOf(server);
      const worker = group.find(({ name, command }) => engine.worker.test(`${name} ${command}`)) ?? assert.fail(JSON.stringify(group));
      process.kill(worker.pid, 'SIGKILL');
      await readyAgain(gateway, 1);
      assert.deepEqual(await processesOf(server), []);
      const reply = await gateway.post(ask('What is the capital of France? Answer in one sentence.', { max_tokens: 16 }));
      assert.equal(reply.status, 200);
      assert.match(await reply.text(), /Paris/);
    });

    await t.test('kill -9 of its server: its workers are gone before it starts again', async () => {
      const server = await serverPid(gateway);
      assert.ok((await processesOf(server)).length > 1);
      process.kill(server, 'SIGKILL');
      const waiting = gateway.post(ask('What is the capital of France? Answer in one sentence.', { max_tokens: 16 }));
      await until('the group is gone', async () => (await processesOf(server)).length === 0);
      await readyAgain(gateway, 2);
      assert.ok([200, 503].includes((await waiting).status));
    });

    await t.test('SIGTERM: a running stream ends whole, then the engine, and nothing is left', async () => {
      const response = await gateway.post(ask('Count from one to one hundred.', { stream: true, max_tokens: 40, ignore_eos: true }));
      const reader = (response.body ?? assert.fail()).getReader();
      await reader.read();
      gateway.signal('SIGTERM');
      let rest = '';
      for (let part = await reader.read(); !part.done; part = await reader.read()) rest += Buffer.from(part.value).toString();
      assert.ok(rest.endsWith('data: [DONE]\n\n'), rest.slice(-300));
      assert.deepEqual(await gateway.exited, { code: 0, signal: null });
      assert.deepEqual(await gateway.engines(), []);
    });
  });
}
