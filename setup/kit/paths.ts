import { join } from 'node:path';

/** The quickstart kit: what `configs/quickstart.yaml` and the real-engine tests name. */
export interface KitPaths {
  readonly directory: string;
  /** A launcher; it becomes the engine's process. */
  readonly server: string;
  readonly model: string;
}

export function kitPaths(root: string): KitPaths {
  const directory = join(root, '.quickstart');
  return { directory, server: join(directory, 'llama-server'), model: join(directory, 'smollm2-135m-instruct-q4_1.gguf') };
}
