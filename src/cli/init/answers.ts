import { basename } from 'node:path';
import { acceleratorMemoryGib } from '../../plugins/accelerators.ts';
import { engineSetups } from '../../plugins/engine-setup.ts';
import { contextFor, gpusFor, knownModels, type KnownModel } from '../../plugins/known-models.ts';
import type { Machine } from './machine.ts';

/** All that the wizard's files follow from. */
export interface Answers {
  /** Engine plugin's name. */
  readonly engine: string;
  /** What clients give as "model". */
  readonly modelId: string;
  /** Hub id, absolute path, or bucket URI; undefined for an engine that loads none. */
  readonly source: string | undefined;
  /** Ray's name of the GPU; undefined: not said. */
  readonly gpuType: string | undefined;
  /** GPUs there are for this model; 0: it runs on the CPU. */
  readonly gpus: number;
  /** GPUs that one replica is split over. */
  readonly tensorParallel: number;
  /** Longest context in tokens; undefined: the engine's choice. */
  readonly contextTokens: number | undefined;
  readonly lora: { readonly path: string; readonly maxAdapters: number } | undefined;
  readonly scaling: Scaling;
  /** Whether the engine gets `HF_TOKEN` of the gateway's environment. */
  readonly hfToken: boolean;
}

export type Scaling =
  | { readonly kind: 'fixed'; readonly replicas: number }
  | { readonly kind: 'auto'; readonly minReplicas: number; readonly maxReplicas: number };

export const defaultMaxAdapters = 4;

/** The engine to offer first: one that is installed, those that need a GPU only where there is one. */
export function suggestEngine({ engines, gpus }: Machine): string {
  const installed = [...engines].filter(([, path]) => path !== undefined).map(([name]) => name);
  const real = installed.filter((name) => formatOf(name) !== 'none');
  const fitting = real.filter((name) => gpus.length > 0 || formatOf(name) === 'gguf');
  return fitting[0] ?? real[0] ?? installed[0] ?? [...engines.keys()][0] ?? '';
}

/** Known models that the engine can load. */
export function modelsFor(engine: string): readonly KnownModel[] {
  return knownModels.filter(({ format }) => format === formatOf(engine));
}

/** The known model of that id or source. */
export function knownModel(engine: string, named: string): KnownModel | undefined {
  return modelsFor(engine).find(({ id, source }) => id === named || source === named);
}

/** The model's name for clients when none is given: the last part of where it comes from, in lower case. */
export function suggestId(source: string): string {
  const last = basename(source.replace(/^[a-z0-9+.-]+:\/\//i, '').replace(/\/+$/, ''));
  return (
    last
      .replace(/\.gguf$/i, '')
      .replace(/-GGUF(?=:|$)/i, '')
      .replaceAll(':', '-')
      .toLowerCase() || 'model'
  );
}

/** GPUs to split one replica over: what the model needs, as far as there are. */
export function suggestParallel(model: KnownModel | undefined, gpuType: string | undefined, gpus: number): number {
  const memoryGib = gpuType === undefined ? undefined : acceleratorMemoryGib.get(gpuType);
  if (model === undefined || memoryGib === undefined) return 1;
  const needed = gpusFor(model, memoryGib) ?? 16;
  return Math.max(1, Math.min(needed, 2 ** Math.floor(Math.log2(Math.max(1, gpus)))));
}

/** The context length to write down; undefined where nothing is known. */
export function suggestContext(
  model: KnownModel | undefined,
  gpuType: string | undefined,
  tensorParallel: number,
  gpus: number,
): number | undefined {
  if (model === undefined) return undefined;
  const memoryGib = gpuType === undefined || gpus === 0 ? undefined : acceleratorMemoryGib.get(gpuType);
  return memoryGib === undefined ? Math.min(8192, model.maxContext) : contextFor(model, tensorParallel, memoryGib);
}

export function formatOf(engine: string): 'safetensors' | 'gguf' | 'none' {
  return engineSetups.get(engine)?.format ?? 'safetensors';
}

/** What a source is, by its form. Paths are those that the config takes for paths. */
export function sourceKind(source: string): 'bucket' | 'path' | 'hub' {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(source)) return 'bucket';
  return /^(?:\/|~(?:\/|$)|\.\.?(?:\/|$))/.test(source) ? 'path' : 'hub';
}
