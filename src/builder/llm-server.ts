import type { LlmConfig } from './define-config.ts';

/** One model, to be served by the ingress it is given to, which starts its replicas and stops them. */
export class LlmServer {
  readonly config: LlmConfig;

  constructor(config: LlmConfig) {
    this.config = config;
  }

  /** What clients give as "model". */
  get modelId(): string {
    return this.config.model_loading_config.model_id;
  }
}
