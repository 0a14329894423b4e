import type { CommandLine, Launch } from '../engine-plugin.ts';
import type { LlamaOptions } from './options.ts';

/**
 * Flags checked against the `--help` of llama-server 0.7.0 (build 11669). The context size is left to the engine unless
 * given: the model's own. The slots are always given, because the gateway must know how many there are. Adapters are loaded at scale 0, or
 * they would bend every request that names none; `--lora-init-without-apply` leaves the scale at 1. A path with a comma or a colon cannot be
 * written so, and llama-server refuses to start.
 */
export function command(options: LlamaOptions, launch: Launch): CommandLine {
  const { model, adapters = [] } = launch;
  return {
    args: [
      model.kind === 'path' ? '-m' : '-hf',
      model.value,
      '--host',
      '127.0.0.1',
      '--port',
      String(launch.port),
      '-a',
      launch.servedName,
      '-np',
      String(options.parallel),
      '--metrics',
      '--no-ui',
      // No pings: they come from the HTTP thread, so a hung generation would look alive to the gateway's idle timeout.
      '--sse-ping-interval',
      '-1',
      ...options.args,
      ...adapters.flatMap(({ path }) => ['--lora-scaled', `${path}:0`]),
    ],
    env: { LLAMA_API_KEY: launch.apiKey },
  };
}
