import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const kit = fileURLToPath(new URL('../../.quickstart/', import.meta.url));

/** The real engine and model that set-up fetched. */
export const quickstart = { engine: `${kit}llama-server`, model: `${kit}smollm2-135m-instruct-q4_1.gguf` };

const missing = Object.values(quickstart).filter((path) => !existsSync(path));

/** Why tests on the real engine cannot run here; false where they can. Where they must run, they run and fail. */
export const skipReal: string | false =
  missing.length === 0 || process.env['ROUNDHOUSE_REQUIRE_ENGINE'] === '1'
    ? false
    : `no real engine: ${missing.join(', ')} not there (npm test fetches them)`;

/** The quickstart's model, with one thread a replica: more would spin on shared cores. */
export const realModel = (replicas: number, engineKwargs: object = {}): object => ({
  model_loading_config: { model_id: 'smollm2-135m', model_source: quickstart.model },
  llm_engine: 'llamacpp',
  engine_kwargs: { threads: 1, threads_batch: 1, parallel: 4, ctx_size: 4096, ...engineKwargs },
  deployment_config: { num_replicas: replicas },
});

/** The part of `gateway:` that names the real engine. */
export const realEngine = { engines: { llamacpp: { command: quickstart.engine } } };
