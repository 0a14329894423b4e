import { isAbsolute, resolve } from 'node:path';
import { didYouMean } from '../../core/did-you-mean.ts';
import { GatewayError } from '../../core/errors.ts';
import { acceleratorMemoryGib } from '../../plugins/accelerators.ts';
import { engineSetups } from '../../plugins/engine-setup.ts';
import { gpusFor, type KnownModel } from '../../plugins/known-models.ts';
import {
  type Answers,
  defaultMaxAdapters,
  formatOf,
  knownModel,
  modelsFor,
  type Scaling,
  sourceKind,
  suggestContext,
  suggestEngine,
  suggestId,
  suggestParallel,
} from './answers.ts';
import type { Ask } from './ask.ts';
import type { Machine } from './machine.ts';

/** Answers given on the command line: none of them is asked for. */
export interface Flags {
  readonly engine?: string;
  readonly model?: string;
  readonly id?: string;
  readonly gpuType?: string;
  readonly gpus?: number;
  readonly tensorParallelSize?: number;
  readonly contextLength?: number;
  readonly loraPath?: string;
  readonly maxLoras?: number;
  readonly replicas?: number;
  readonly minReplicas?: number;
  readonly maxReplicas?: number;
  readonly hfToken?: boolean;
}

/** Where the interview is held: its directory, and whether a file is there. */
export interface Place {
  readonly directory: string;
  exists(path: string): boolean;
}

const otherModel = 'other';

/**
 * Collects the answers: flags first, then what `ask` says, with what was found on the machine as suggestions.
 * @throws GatewayError `usage_invalid` for flags that do not fit each other or this machine's engines.
 */
export async function interview(flags: Flags, machine: Machine, ask: Ask, place: Place): Promise<Answers> {
  const engine = await askEngine(flags, machine, ask);
  const hasModel = formatOf(engine) !== 'none';
  const source = hasModel ? await askSource(engine, flags, machine, ask, place) : undefined;
  const known = source === undefined ? undefined : knownModel(engine, source);
  const modelId = flags.id ?? (await ask.text('Name that clients use for it?', known?.id ?? suggestId(source ?? engine), idProblem));
  const gpus = hasModel ? await askGpus(flags, machine, ask) : 0;
  const gpuType = gpus === 0 ? undefined : await askGpuType(flags, machine, ask);
  const tensorParallel = await askParallel(engine, known, gpuType, gpus, flags, ask);
  const lora = await askLora(engine, flags, ask, place);
  const scaling = await askScaling(flags, gpus === 0 ? 1 : Math.max(1, Math.floor(gpus / tensorParallel)), ask);
  const hfToken =
    flags.hfToken ??
    (source !== undefined &&
      sourceKind(source) === 'hub' &&
      (await ask.confirm('Does it need a Hugging Face token (HF_TOKEN of the environment)?', known?.gated === true)));
  const contextTokens = flags.contextLength ?? suggestContext(known, gpuType, tensorParallel, gpus);
  return { engine, modelId, source, gpuType, gpus, tensorParallel, contextTokens, lora, scaling, hfToken };
}

async function askEngine(flags: Flags, machine: Machine, ask: Ask): Promise<string> {
  const names = [...machine.engines.keys()];
  if (flags.engine !== undefined) {
    const name = flags.engine.toLowerCase();
    if (names.includes(name)) return name;
    throw usage(`--engine ${flags.engine}: there is no such engine; expected one of ${names.join(', ')}${didYouMean(name, names)}`);
  }
  const choices = names.map((name) => ({
    value: name,
    label: engineSetups.get(name)?.label ?? name,
    hint: formatOf(name) === 'none' ? 'made-up text, to try things out' : (machine.engines.get(name) ?? 'not on PATH'),
  }));
  return ask.choice('Which engine?', choices, suggestEngine(machine));
}

async function askSource(engine: string, flags: Flags, machine: Machine, ask: Ask, place: Place): Promise<string> {
  if (flags.model !== undefined) {
    const problem = sourceProblem(flags.model, place);
    if (problem !== undefined) throw usage(`--model ${flags.model}: ${problem}`);
    return knownModel(engine, flags.model)?.source ?? absolute(flags.model, place);
  }
  const models = modelsFor(engine);
  const choices = models.map((model) => ({ value: model.source, label: model.source, hint: sizeHint(model, machine) }));
  const other = { value: otherModel, label: 'another one', hint: 'an id on the Hugging Face hub, a path, a bucket' };
  const suggestion = models.find((model) => fits(model, machine)) ?? models[0];
  const picked = await ask.choice('Which model?', [...choices, other], suggestion?.source ?? otherModel);
  if (picked !== otherModel) return picked;
  const typed = await ask.text('Its id on the Hugging Face hub, path, or bucket?', '', (text) => sourceProblem(text, place));
  return absolute(typed, place);
}

/** The largest GPU of the machine decides what is suggested; with none, what a laptop can run. */
function fits(model: KnownModel, { gpus }: Machine): boolean {
  const memoryGib = Math.max(0, ...gpus.map((gpu) => gpu.memoryGib));
  return memoryGib === 0 ? model.weightsGib < 4 : model.weightsGib > memoryGib / 8 && (gpusFor(model, memoryGib) ?? Infinity) <= 1;
}

function sizeHint(model: KnownModel, { gpus }: Machine): string {
  const size = `${model.weightsGib} GiB${model.gated ? ', licence to accept' : ''}`;
  const [gpu] = gpus;
  if (gpu === undefined) return size;
  const needed = gpusFor(model, gpu.memoryGib);
  return `${size}, ${needed === undefined ? 'does not fit' : `${needed} × ${gpu.accelerator ?? gpu.product}`}`;
}

async function askGpus(flags: Flags, machine: Machine, ask: Ask): Promise<number> {
  if (flags.gpus !== undefined) return flags.gpus;
  const found = machine.gpus.length;
  const suggestion = found > 0 ? found : (flags.tensorParallelSize ?? 0);
  const none = machine.gpuProblem === undefined ? 'none found here' : `the driver does not answer here: ${machine.gpuProblem}`;
  const where = found === 0 ? `${none}; 0: on the CPU` : `found here: ${machine.gpus.map((gpu) => gpu.product).join(', ')}`;
  return Number(await ask.text(`How many GPUs for this model? (${where})`, String(suggestion), wholeProblem(0, 1024)));
}

async function askGpuType(flags: Flags, machine: Machine, ask: Ask): Promise<string | undefined> {
  if (flags.gpuType !== undefined) return flags.gpuType;
  const found = machine.gpus[0]?.accelerator;
  const none = { value: '', label: 'another, or not to be written down' };
  const choices = [...acceleratorMemoryGib].map(([value, memoryGib]) => ({ value, label: value, hint: `${memoryGib} GiB` }));
  return (await ask.choice('Which GPU?', [...choices, none], found ?? '')) || undefined;
}

async function askParallel(
  engine: string,
  known: KnownModel | undefined,
  gpuType: string | undefined,
  gpus: number,
  flags: Flags,
  ask: Ask,
): Promise<number> {
  const given = flags.tensorParallelSize;
  if (given !== undefined && given > Math.max(1, gpus)) {
    throw usage(
      `--tensor-parallel-size ${given}: more than the ${gpus} GPU${gpus === 1 ? '' : 's'} for this model; expected at most --gpus`,
    );
  }
  if (given !== undefined || gpus <= 1 || engineSetups.get(engine)?.parallelOption === undefined) return given ?? 1;
  const suggestion = String(suggestParallel(known, gpuType, gpus));
  return Number(await ask.text('Tensor parallel size (GPUs that one replica is split over)?', suggestion, wholeProblem(1, gpus)));
}

async function askLora(engine: string, flags: Flags, ask: Ask, place: Place): Promise<Answers['lora']> {
  const possible = engineSetups.get(engine)?.adapters !== undefined;
  if (!possible && flags.loraPath !== undefined) throw usage(`--lora-path: the engine ${engine} cannot load adapters while it runs`);
  const maxAdapters = flags.maxLoras ?? defaultMaxAdapters;
  if (flags.loraPath !== undefined) return { path: absolute(flags.loraPath, place), maxAdapters };
  if (!possible || !(await ask.confirm('Serve LoRA adapters too?', false))) return undefined;
  const path = await ask.text('Where are they? (a directory, or a bucket)', './adapters', notEmpty);
  return { path: absolute(path, place), maxAdapters };
}

async function askScaling(flags: Flags, mostReplicas: number, ask: Ask): Promise<Scaling> {
  const { replicas, minReplicas, maxReplicas } = flags;
  if (replicas !== undefined && (minReplicas !== undefined || maxReplicas !== undefined)) {
    throw usage('--replicas beside --min-replicas or --max-replicas; expected a fixed number or bounds');
  }
  if (replicas !== undefined) return { kind: 'fixed', replicas };
  if (minReplicas !== undefined || maxReplicas !== undefined) {
    const least = minReplicas ?? 1;
    const most = maxReplicas ?? Math.max(1, least, mostReplicas);
    if (least > most) throw usage(`--min-replicas ${least} is more than --max-replicas ${most}`);
    return { kind: 'auto', minReplicas: least, maxReplicas: most };
  }
  if (!(await ask.confirm('Scale the number of replicas with the load?', false))) {
    return { kind: 'fixed', replicas: Number(await ask.text('How many replicas?', '1', wholeProblem(1, 10_000))) };
  }
  const least = Number(await ask.text('At least how many replicas?', '1', wholeProblem(0, 10_000)));
  const most = Number(await ask.text('At most?', String(Math.max(1, least, mostReplicas)), wholeProblem(Math.max(1, least), 10_000)));
  return { kind: 'auto', minReplicas: least, maxReplicas: most };
}

/** Paths are written down absolute: the file that has them does not stand where the person who typed them does. */
function absolute(source: string, place: Place): string {
  if (sourceKind(source) === 'bucket' || source.startsWith('~') || isAbsolute(source)) return source;
  const here = resolve(place.directory, source);
  return sourceKind(source) === 'path' || place.exists(here) ? here : source;
}

function sourceProblem(source: string, place: Place): string | undefined {
  if (source.trim() === '') return 'expected an id, a path or a bucket';
  const path = absolute(source, place);
  return isAbsolute(path) && !place.exists(path) ? `there is no file or directory ${path}` : undefined;
}

function idProblem(id: string): string | undefined {
  return /^(?=.{1,256}$)\S(?:[^\p{Cc}]*\S)?$/u.test(id) ? undefined : 'expected 1 to 256 characters, with no blank at either end';
}

function notEmpty(text: string): string | undefined {
  return text.trim() === '' ? 'expected a path' : undefined;
}

/** For `Ask.text`: whole numbers from `min` to `max`. */
export function wholeProblem(min: number, max: number): (text: string) => string | undefined {
  return (text) =>
    /^\d{1,9}$/.test(text) && Number(text) >= min && Number(text) <= max ? undefined : `expected a whole number from ${min} to ${max}`;
}

function usage(message: string): GatewayError {
  return new GatewayError('usage_invalid', message);
}
