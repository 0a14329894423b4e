import { defaultInputLimits } from '../../../src/core/input-limits.ts';
import { modelName } from '../../../src/core/ids.ts';
import type { ModelConfig } from '../../../src/config/config.ts';

/** A model on the fake engine; times short enough for tests. */
export function model(over: Partial<Omit<ModelConfig, 'name'>> & { readonly name?: string } = {}): ModelConfig {
  return {
    source: { kind: 'reference', value: 'none' },
    engine: 'fake',
    engineOptions: {},
    env: {},
    replicas: 1,
    aliases: [],
    gpus: undefined,
    acceleratorType: undefined,
    priority: 0,
    command: undefined,
    traits: {},
    upstreams: [],
    maxOngoing: undefined,
    routing: { kind: 'least-in-flight' },
    unsupportedParams: 'warn',
    input: { limits: defaultInputLimits, allowed: [] },
    resumeStreams: false,
    limits: { maxWaiting: 16, queueTimeoutMs: 1000, firstByteTimeoutMs: 1000, idleTimeoutMs: 1000 },
    startupTimeoutMs: 60_000,
    hangTimeoutMs: 60_000,
    health: { periodMs: 10_000, timeoutMs: 5000 },
    drainTimeoutMs: 10_000,
    ...over,
    name: modelName(over.name ?? 'demo'),
  };
}
