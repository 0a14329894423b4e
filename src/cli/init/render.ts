import { stringify } from 'yaml';
import { engineSetups } from '../../plugins/engine-setup.ts';
import { sourceKind, type Answers } from './answers.ts';

/** A file to write: its path below the chosen directory, with slashes, and its text. */
export interface DraftFile {
  readonly path: string;
  readonly text: string;
}

/** The files that answers stand for: the model's, and `serve.yaml`, which names it and is the one to start. */
export function renderFiles(answers: Answers): readonly [DraftFile, DraftFile] {
  const path = `model_config/${fileName(answers.modelId)}.yaml`;
  return [
    { path, text: modelFile(answers) },
    { path: 'serve.yaml', text: serveFile(path) },
  ];
}

/** A model id as a file name: a slash or colon cannot stand in one everywhere. */
export function fileName(modelId: string): string {
  return (
    modelId
      .replaceAll('/', '--')
      .replaceAll(/[^A-Za-z0-9._-]/g, '-')
      .replace(/^\.+/, '') || 'model'
  );
}

function modelFile(answers: Answers): string {
  return [
    '# One model: an entry of llm_configs, in the shape of Ray Serve LLM. serve.yaml names this file.',
    ...loading(answers),
    '',
    `llm_engine: ${engineSetups.get(answers.engine)?.label ?? answers.engine}`,
    ...(answers.gpuType === undefined || answers.gpus === 0
      ? []
      : ['', '# The GPU these settings were chosen for.', `accelerator_type: ${scalar(answers.gpuType)}`]),
    '',
    "# Handed to the engine as its own options: any of the engine's long option names, with _ for -.",
    ...mapping('engine_kwargs', engineOptions(answers)),
    ...adapters(answers),
    '',
    ...deployment(answers),
    ...environment(answers),
    ...placement(answers),
    '',
  ].join('\n');
}

function loading({ modelId, source }: Answers): readonly string[] {
  const head = ['model_loading_config:', '  # What clients give as "model".', `  model_id: ${scalar(modelId)}`];
  if (source === undefined) return head;
  const kind = sourceKind(source);
  if (kind === 'bucket') return [...head, '  # Fetched before the engine starts.', '  model_source:', `    bucket_uri: ${scalar(source)}`];
  const comment = kind === 'path' ? 'A file or directory of this machine.' : 'An id on the Hugging Face hub: the engine downloads it.';
  return [...head, `  # ${comment}`, `  model_source: ${scalar(source)}`];
}

/** Only what was asked for: the rest is the engine's own default. */
function engineOptions({ engine, gpus, tensorParallel, contextTokens, lora }: Answers): Readonly<Record<string, unknown>> {
  const setup = engineSetups.get(engine);
  if (setup === undefined) return {};
  return {
    ...(setup.parallelOption !== undefined && gpus > 0 && { [setup.parallelOption]: tensorParallel }),
    ...(gpus > 0 && setup.onGpu),
    ...(setup.contextOption !== undefined && contextTokens !== undefined && { [setup.contextOption]: contextTokens }),
    ...(lora !== undefined && setup.adapters?.(lora.maxAdapters)),
  };
}

function adapters({ lora }: Answers): readonly string[] {
  if (lora === undefined) return [];
  return [
    '',
    '# Adapters: a directory below this path for each, loaded when a client asks for it.',
    'lora_config:',
    `  dynamic_lora_loading_path: ${scalar(lora.path)}`,
    `  max_num_adapters_per_replica: ${lora.maxAdapters}`,
  ];
}

function deployment({ scaling }: Answers): readonly string[] {
  const queue = ['  # Requests that may wait for a replica; the next one is refused with 429.', '  max_queued_requests: 256'];
  switch (scaling.kind) {
    case 'fixed':
      return [
        'deployment_config:',
        '  # Engine processes, each with a copy of the model.',
        `  num_replicas: ${scaling.replicas}`,
        ...queue,
      ];
    case 'auto':
      return [
        'deployment_config:',
        '  # As many engine processes as the load asks for, within these bounds.',
        '  autoscaling_config:',
        `    min_replicas: ${scaling.minReplicas}`,
        `    max_replicas: ${scaling.maxReplicas}`,
        ...queue,
      ];
  }
}

function environment({ hfToken }: Answers): readonly string[] {
  if (!hfToken) return [];
  return [
    '',
    'runtime_env:',
    '  env_vars:',
    "    # Taken from the gateway's own environment when it starts; the token itself never stands in a file.",
    `    HF_TOKEN: "\${HF_TOKEN:?a token of huggingface.co for this model}"`,
  ];
}

/** For an engine whose options do not say how many GPUs it takes. */
function placement({ engine, gpus, tensorParallel }: Answers): readonly string[] {
  if (gpus === 0 || engineSetups.get(engine)?.parallelOption !== undefined) return [];
  return ['', 'gateway:', '  # GPUs that each replica gets for itself.', `  gpus: ${tensorParallel}`];
}

function serveFile(modelPath: string): string {
  return `# What \`gateway start -c serve.yaml\` serves. Check it after a change: \`gateway validate -c serve.yaml\`.
llm_configs:
  # Paths are relative to this file. One line for each model.
  - ${scalar(modelPath)}

gateway:
  listen:
    # 0.0.0.0 opens it to the network.
    host: 127.0.0.1
    port: 8000
`;
}

function mapping(key: string, value: Readonly<Record<string, unknown>>): readonly string[] {
  if (Object.keys(value).length === 0) return [`${key}: {}`];
  const lines = stringify(value, { lineWidth: 0 }).trimEnd().split('\n');
  return [`${key}:`, ...lines.map((line) => `  ${line}`)];
}

/** A value as YAML that every reader, YAML 1.1 ones too, takes for the same text; `${` stands for itself. */
function scalar(text: string): string {
  return stringify(
    text.replaceAll('${', () => '$${'),
    { lineWidth: 0, compat: 'yaml-1.1' },
  ).trimEnd();
}
