import type pino from 'pino';
import type { ModelConfig } from '../config/config.ts';
import { progressText } from '../models/progress.ts';
import type { FetchProgress } from '../models/progress.ts';
import type { ModelLease, ModelStore } from '../models/store.ts';
import { ArtifactError } from '../models/artifact-error.ts';
import { GatewayError, messageOf } from '../core/errors.ts';
import type { Failure } from './failure.ts';

/** What a model's files are waited for, while they are. */
export interface WeightsWait {
  /** What a user reads. */
  readonly phase: string;
  /** Milliseconds until they are here; undefined where nobody knows. */
  readonly etaMs: number | undefined;
}

/** Brings the files of models here before their engines start. */
export interface Weights {
  /**
   * The model's files, which stay until the lease is released; undefined where they need not be brought.
   * @param waits told how far it is
   * @throws GatewayError `artifact_unavailable`; the signal's reason
   */
  fetch(model: ModelConfig, waits: (wait: WeightsWait) => void, signal: AbortSignal): Promise<ModelLease | undefined>;
  /** The files that an engine which runs already has open; its store is not asked. */
  held(model: ModelConfig, signal: AbortSignal): Promise<ModelLease | undefined>;
}

const etaOf = (progress: FetchProgress): number | undefined => (progress.kind === 'downloading' ? progress.etaMs : undefined);

/** @param env the gateway's own: a model's `runtime_env.env_vars` stand above it. */
export function storedWeights(store: ModelStore, env: Readonly<Record<string, string | undefined>>, log: pino.Logger): Weights {
  return {
    fetch: async (model, waits, signal) => {
      const { source } = model;
      if (source.kind !== 'remote') return undefined;
      const lease = await store.fetch(source.reference, {
        env: { ...env, ...model.env },
        trustRemoteCode: source.trustRemoteCode,
        onProgress: (progress) => {
          waits({ phase: progressText(progress), etaMs: etaOf(progress) });
        },
        signal,
      });
      if (lease.stale !== undefined)
        log.warn(
          { model: model.name, revision: lease.revision },
          `starting with the files that are here, which may be old: ${lease.stale}`,
        );
      return lease;
    },
    held: async ({ source }, signal) => (source.kind === 'remote' ? await store.held(source.reference, signal) : undefined),
  };
}

/** Why a model's files are not here, for who asks for the model. */
export function weightsFailure(thrown: unknown): Failure {
  const code = thrown instanceof GatewayError ? thrown.code : 'artifact_unavailable';
  return { code, message: messageOf(thrown), permanent: thrown instanceof ArtifactError && thrown.permanent };
}

/** The model as its engine is told of it: with its files' own path, where they were brought here. */
export function withFiles(model: ModelConfig, lease: ModelLease | undefined): ModelConfig {
  return lease === undefined ? model : { ...model, source: { kind: 'path', value: lease.path } };
}
