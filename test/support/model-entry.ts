import { defaultInputLimits } from '../../src/core/input-limits.ts';
import { slot } from '../../src/core/ids.ts';
import type { ModelEntry } from '../../src/core/table.ts';

/** A model of a routing table that is ready, waits for nothing and has no replica. */
export const modelEntry = (more: Partial<ModelEntry>): ModelEntry => ({
  engine: 'fake',
  waiting: slot(0),
  created: 0,
  status: { phase: 'ready' },
  limits: { maxWaiting: 1, queueTimeoutMs: 1, firstByteTimeoutMs: 1, idleTimeoutMs: 1 },
  routing: { kind: 'least-in-flight' },
  unsupportedParams: 'warn',
  input: { limits: defaultInputLimits, allowed: [] },
  resumeStreams: false,
  replicas: [],
  ...more,
});
