import type { ResolveContext } from './context.ts';
import type { ConfigPath } from './problems.ts';
import type { ModelEntry } from './schema.ts';

const option = 'hf_token';
const variable = 'HF_TOKEN';

/**
 * The entry with a token of the Hugging Face hub where only its engine sees it: Ray's documentation has it among the engine's options,
 * which would put it on a command line that everybody on the machine can read. `true`, the engine's own stored token, needs no option.
 */
export function withHubToken(entry: ModelEntry, path: ConfigPath, context: ResolveContext): ModelEntry {
  if (!Object.hasOwn(entry.engine_kwargs, option)) return entry;
  const here = [...path, 'engine_kwargs', option];
  const { [option]: token, ...options } = entry.engine_kwargs;
  if (token === true || token === null) return { ...entry, engine_kwargs: options };
  if (typeof token !== 'string' || token === '') {
    context.problem(here, `expected the token as text; or leave it out and give ${variable} in runtime_env.env_vars`);
    return { ...entry, engine_kwargs: options };
  }
  context.warning(here, `given to the engine as ${variable}: on its command line others could read it. Better in runtime_env.env_vars`);
  const environment = { ...entry.runtime_env, env_vars: { ...entry.runtime_env.env_vars, [variable]: token } };
  return { ...entry, engine_kwargs: options, runtime_env: environment };
}
