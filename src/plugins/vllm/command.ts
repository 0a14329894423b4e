import type { CommandLine, Launch } from '../engine-plugin.ts';
import { toArgs } from '../python-args.ts';
import type { ArgumentStyle } from '../python-args.ts';
import { jsonLists, plainFlags, repeated } from './option-names.ts';

const style: ArgumentStyle = { negatable: (name) => !plainFlags.has(name), jsonLists, repeated };

/** Seconds that are left to vLLM, of the time between SIGTERM and SIGKILL, to end its processes after the requests are cut. */
const endingS = 10;

/** RFC 2606 reserves `.invalid`: no address in it can ever be fetched. */
const noDomain = 'none.invalid';

/**
 * Flags checked against the `--help=all` of vLLM 0.26.0.
 * @param values all options, by vLLM's names.
 * @param runtime what is asked of it while it runs: to load adapters, to sleep.
 */
export function command(
  values: ReadonlyMap<string, unknown>,
  runtime: { readonly adapters: boolean; readonly sleeps: boolean },
  launch: Launch,
): CommandLine {
  const fixed = [
    'serve',
    launch.model.value,
    '--host',
    '127.0.0.1',
    '--port',
    String(launch.port),
    '--served-model-name',
    launch.servedName,
    // 0, the default, cuts requests at once, and some versions then never exit.
    '--shutdown-timeout',
    String(Math.max(1, launch.stopGraceS - endingS)),
  ];
  const media = values.has('allowed_media_domains') ? [] : ['--allowed-media-domains', noDomain];
  return {
    args: [...fixed, ...media, ...[...values].flatMap(([name, value]) => toArgs(name, value, style))],
    env: {
      VLLM_API_KEY: launch.apiKey,
      // It takes the first free ones from here on; what two replicas find free by themselves at the same time may be the same.
      VLLM_PORT: String(launch.innerPort),
      VLLM_NO_USAGE_STATS: '1',
      DO_NOT_TRACK: '1',
      HF_HUB_DISABLE_TELEMETRY: '1',
      PYTHONUNBUFFERED: '1',
      // A domain that is allowed must not lead to one that is not.
      VLLM_MEDIA_URL_ALLOW_REDIRECTS: '0',
      ...(runtime.adapters ? { VLLM_ALLOW_RUNTIME_LORA_UPDATING: 'True' } : {}),
      ...(runtime.sleeps ? { VLLM_SERVER_DEV_MODE: '1' } : {}),
    },
  };
}
