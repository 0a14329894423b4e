import { isMissing } from '../providers/executable.ts';

export interface ToolAnswer {
  readonly exitCode: number;
  /** stdout and stderr as they came: complaints about one card stand between the rows of others. */
  readonly output: string;
}

/**
 * Runs a driver's tool to its end; undefined where it is not installed.
 * @throws Error when it did not end in time, or was killed.
 */
export type RunTool = (tool: string, args: readonly string[], signal: AbortSignal) => Promise<ToolAnswer | undefined>;

/** A tool that asks a broken card can hang for good. */
const driverTimeoutMs = 20_000;
const longestOutput = 1_048_576;

/** Runs tools that are found on `env`'s PATH. `timeoutMs`: how long one may take; that of a driver's tool when left out. */
export function toolRunner(env: Readonly<Record<string, string | undefined>>, timeoutMs = driverTimeoutMs): RunTool {
  // Masks are not for these: they would hide or renumber cards.
  const { CUDA_VISIBLE_DEVICES: _cuda, HIP_VISIBLE_DEVICES: _hip, ROCR_VISIBLE_DEVICES: _rocr, ...rest } = env;
  return async (tool, args, signal) => {
    signal.throwIfAborted();
    // Most machines lack one or the other; to run what is not there would cost them the loading of execa.
    if (await isMissing(tool, env['PATH'] ?? '')) return undefined;
    const { execa } = await import('execa');
    const ended = await execa(tool, args, {
      env: { ...rest, LC_ALL: 'C' },
      extendEnv: false,
      stdin: 'ignore',
      all: true,
      reject: false,
      timeout: timeoutMs,
      forceKillAfterDelay: 1_000,
      maxBuffer: longestOutput,
      cancelSignal: signal,
    });
    signal.throwIfAborted();
    if (ended.code === 'ENOENT') return undefined;
    if (ended.timedOut) throw new Error(`${tool} did not end within ${timeoutMs / 1000} s`);
    if (ended.exitCode === undefined) throw new Error(`${tool} could not be run: ${ended.shortMessage ?? 'no exit code'}`);
    return { exitCode: ended.exitCode, output: ended.all ?? '' };
  };
}
