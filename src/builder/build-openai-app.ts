import type { Logger } from 'pino';
import { App } from './app.ts';
import type { FileConfig, GatewayConfig, LlmConfig } from './define-config.ts';
import { LlmServer } from './llm-server.ts';
import { OpenAiIngress } from './openai-ingress.ts';

export interface AppOptions {
  readonly llmConfigs: readonly LlmConfig[];
  /** `/` unless given. */
  readonly routePrefix?: string;
  /** As under `gateway:` in a file. */
  readonly gateway?: GatewayConfig;
  readonly log?: Logger;
}

/**
 * A whole app in one call, from models or from a whole config (`defineConfig`). It is not started.
 * @throws GatewayError `config_invalid` with every mistake, by its path in the config
 */
export function buildOpenAiApp(options: AppOptions | FileConfig): App {
  if (!('llmConfigs' in options)) return new App(options);
  const { llmConfigs, ...rest } = options;
  return new OpenAiIngress({ ...rest, servers: llmConfigs.map((config) => new LlmServer(config)) });
}
