import type { Logger } from 'pino';
import { App } from './app.ts';
import type { GatewayConfig } from './define-config.ts';
import type { LlmServer } from './llm-server.ts';

export interface IngressOptions {
  /** At least one; model ids are unique. */
  readonly servers: readonly LlmServer[];
  /** The API is below this path, e.g. `/chat`; `/` unless given. */
  readonly routePrefix?: string;
  /** As under `gateway:` in a file. */
  readonly gateway?: GatewayConfig;
  readonly log?: Logger;
}

/** One API in front of servers that were declared apart from it. */
export class OpenAiIngress extends App {
  /** @throws GatewayError `config_invalid` with every mistake, by its path in the config this stands for */
  constructor({ servers, routePrefix = '/', gateway = {}, log }: IngressOptions) {
    const args = { llm_configs: servers.map(({ config }) => config) };
    super({ applications: [{ route_prefix: routePrefix, args }], gateway }, log);
  }
}
