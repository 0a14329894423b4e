import type { TestContext } from 'node:test';
import type { ConformanceReport } from '../../../src/cli/conformance.ts';
import type { EnginePlugin } from '../../../src/plugins/engine-plugin.ts';
import { sglang } from '../../../src/plugins/sglang/index.ts';
import { vllm } from '../../../src/plugins/vllm/index.ts';
import { type GatewayProcess, runGateway, startGateway } from '../../support/gateway-process.ts';

export interface EngineUnderTest {
  readonly name: string;
  /** As people write it. */
  readonly title: string;
  /** As in its own `/version` or `/server_info`. */
  readonly version: string;
  readonly executable: string | undefined;
  readonly kwargs: Readonly<Record<string, unknown>>;
  /** That make it give embeddings, by the same model, instead of text. */
  readonly embeddingKwargs: Readonly<Record<string, unknown>>;
  readonly env: Readonly<Record<string, string>>;
  /** Scenarios that must be seen to work, beside those that every model must pass. */
  readonly mustWork: readonly string[];
  /** In the log while it starts. */
  readonly phase: RegExp;
  /** The process that computes, by its name or command line. */
  readonly worker: RegExp;
  readonly versionPath: string;
  readonly plugin: EnginePlugin;
}

const structured = [
  'stop',
  'n',
  'logprobs',
  'json_schema',
  'json_schema-raw',
  'json_object',
  'guided_choice',
  'tools',
  'tool_choice-required',
  'tool_choice-named',
  'abort',
];

const sglangOnCpu = {
  device: 'cpu',
  attention_backend: 'torch_native',
  disable_overlap_schedule: true,
  context_length: 2048,
  max_total_tokens: 8192,
  mem_fraction_static: 0.2,
  max_running_requests: 4,
};

export const engines: readonly EngineUnderTest[] = [
  {
    name: 'vllm',
    title: 'vLLM',
    version: '0.32.0',
    executable: process.env['ROUNDHOUSE_TEST_VLLM'],
    kwargs: {
      enforce_eager: true,
      max_model_len: 2048,
      max_num_seqs: 4,
      // One for each adapter, and one that stays empty.
      max_loras: 3,
      max_lora_rank: 8,
      gpu_memory_utilization: 0.2,
      enable_auto_tool_choice: true,
      tool_call_parser: 'hermes',
      // Else the arguments of a call that was asked for obey their schema only where the request says `strict: true`.
      tool_strict_level: 'parameter',
    },
    embeddingKwargs: {
      enforce_eager: true,
      max_model_len: 2048,
      max_num_seqs: 4,
      gpu_memory_utilization: 0.2,
      runner: 'pooling',
      convert: 'embed',
    },
    env: { VLLM_CPU_KVCACHE_SPACE: '1' },
    mustWork: [...structured, 'seed'],
    phase: /loading weights/,
    worker: /VLLM::EngineCor/,
    versionPath: '/version',
    plugin: vllm,
  },
  {
    name: 'sglang',
    title: 'SGLang',
    version: '0.5.23',
    executable: process.env['ROUNDHOUSE_TEST_SGLANG'],
    kwargs: { ...sglangOnCpu, lora_backend: 'torch_native', max_lora_rank: 8, lora_target_modules: ['o_proj', 'down_proj'] },
    embeddingKwargs: { ...sglangOnCpu, is_embedding: true },
    // Threads that spin while they wait for each other take ten times as long once anything else runs on the machine.
    env: { SGLANG_USE_CPU_ENGINE: '1', OMP_NUM_THREADS: '1', OMP_WAIT_POLICY: 'PASSIVE' },
    mustWork: structured,
    phase: /loading weights/,
    worker: /sglang::scheduler/,
    versionPath: '/server_info',
    plugin: sglang,
  },
];

export const model = 'smollm2-135m';
export const maxAdaptersPerReplica = 2;

/** Why the tests of an engine are passed over; false where they run. */
export const skipMissing = ({ executable }: EngineUnderTest): string | false =>
  executable === undefined ? 'not installed: npm run test:engines does it' : false;

/** What a report of conformance says it was made with. */
export const reportOn = ({
  title,
  version,
}: EngineUnderTest): { readonly engine: string; readonly version: string; readonly model: string } => ({
  engine: title,
  version,
  model: 'SmolLM2-135M-Instruct bf16, CPU',
});

/** A gateway with one replica of the model on that engine, ready. @param entry more of its `llm_configs` entry */
export async function startOn(t: TestContext, engine: EngineUnderTest, entry: object): Promise<GatewayProcess> {
  const configured = {
    model_loading_config: { model_id: model, model_source: process.env['ROUNDHOUSE_TEST_HF_MODEL'] },
    llm_engine: engine.name,
    gateway: { gpus: 0, env: { HF_HUB_OFFLINE: '1', ...engine.env } },
    ...entry,
  };
  return await startGateway(t, [configured], {
    more: { engines: { [engine.name]: { command: engine.executable } }, timeouts: { drain_s: 240 } },
  });
}

/** `gateway conformance` with `args`. @throws where it does not conform, with what was printed */
export async function conform(gateway: GatewayProcess, ...args: readonly string[]): Promise<ConformanceReport> {
  const { code, stdout, stderr } = await runGateway(['conformance', '--state-dir', gateway.stateDir, '--model', model, '--json', ...args]);
  if (code !== 0) throw new Error(stdout + stderr);
  return JSON.parse(stdout) as ConformanceReport;
}
