import type { Autoscaling } from '../../src/config/config.ts';

/** Up to four replicas for two requests each, and none when idle for five seconds. */
export const scalingRule = (more: Partial<Autoscaling> = {}): Autoscaling => ({
  min: 0,
  max: 4,
  initial: 0,
  target: { ongoing: 2, source: 'config' },
  upscalingFactor: 1,
  downscalingFactor: 1,
  upscaleDelayMs: 1000,
  downscaleDelayMs: 2000,
  toZero: { kind: 'idle', ms: 5000 },
  lookBackMs: 1000,
  aggregation: 'mean',
  ...more,
});
