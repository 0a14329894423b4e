/** The package as a library: docs/builder.md. */
export { App } from './builder/app.ts';
export { type AppOptions, buildOpenAiApp } from './builder/build-openai-app.ts';
export { defineConfig, type FileConfig, type GatewayConfig, type LlmConfig } from './builder/define-config.ts';
export { LlmServer } from './builder/llm-server.ts';
export { type IngressOptions, OpenAiIngress } from './builder/openai-ingress.ts';
export type * from './plugins/engine-plugin.ts';
export type { EngineVersion, SecurityFloor } from './plugins/engine-version.ts';
export { type ErrorCode, GatewayError } from './core/errors.ts';
