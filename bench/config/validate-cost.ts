import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { loadConfig } from '../../src/config/load.ts';
import { engines } from '../../src/plugins/registry.ts';
import { runNode } from '../measure/node-process.ts';
import { median, pairedRatio, type Ratio } from '../measure/statistics.ts';
import { sourceEntry } from '../systems/package.ts';

/** Milliseconds, medians of the rounds; each ratio is taken round by round. */
export interface ValidateCost {
  /** Reading, checking and resolving the file in a warm process. */
  readonly loadMs: number;
  /** `yaml` alone on the same text, to plain values. */
  readonly parseMs: number;
  readonly loadOverParse: Ratio;
  /** `gateway validate -c FILE` as a process, from its start to its end. */
  readonly commandMs: number;
  /** `node -e 0`. */
  readonly emptyMs: number;
  /** `gateway validate` of a file with one model. */
  readonly smallMs: number;
  readonly commandOverEmpty: Ratio;
}

/** So many models of an engine that is not installed: no engine is asked for its help, whatever this machine has. */
export function configOf(models: number): string {
  const entries = Array.from(
    { length: models },
    (_, at) =>
      `  - model_loading_config: {model_id: m${at}}\n    llm_engine: vLLM\n    accelerator_type: L4\n    engine_kwargs: {max_model_len: 4096, seed: ${at}}\n`,
  );
  return `gateway: {engines: {vllm: {command: /nowhere/vllm}}}\nllm_configs:\n${entries.join('')}`;
}

const timed = async (work: () => unknown): Promise<number> => {
  const began = performance.now();
  await work();
  return performance.now() - began;
};

function ratio(over: readonly number[], under: readonly number[]): Ratio {
  const found = pairedRatio(over, under);
  if (found === undefined) throw new RangeError('a ratio needs a round, and a time above zero to divide by');
  return found;
}

/** What it costs to check a file of so many models. `dir`: for the files; rounds: at least 1. @throws the signal's reason */
export async function validateCost(models: number, rounds: number, dir: string, signal: AbortSignal): Promise<ValidateCost> {
  const text = configOf(models);
  const [file, small] = [join(dir, 'models.yaml'), join(dir, 'model.yaml')];
  await writeFile(file, text);
  await writeFile(small, configOf(1));
  const deps = { env: {}, engines, cores: 4, homeDir: dir };
  const load = (): void => {
    const count = loadConfig(file, deps).config.models.length;
    if (count !== models) throw new Error(`read ${count} of ${models} models`);
  };
  const validate = (path: string): Promise<string> => runNode([sourceEntry, 'validate', '--quiet', '-c', path], dir, signal);
  load();
  parse(text);
  const times = { load: [] as number[], parse: [] as number[], command: [] as number[], empty: [] as number[], small: [] as number[] };
  for (let round = 0; round < rounds; round += 1) {
    signal.throwIfAborted();
    times.load.push(await timed(load));
    times.parse.push(await timed(() => parse(text)));
    times.command.push(await timed(() => validate(file)));
    times.empty.push(await timed(() => runNode(['-e', '0'], dir, signal)));
    times.small.push(await timed(() => validate(small)));
  }
  return {
    loadMs: median(times.load),
    parseMs: median(times.parse),
    loadOverParse: ratio(times.load, times.parse),
    commandMs: median(times.command),
    emptyMs: median(times.empty),
    smallMs: median(times.small),
    commandOverEmpty: ratio(times.command, times.empty),
  };
}
