import type { ErrorCode } from '../core/errors.ts';
import type { ArtifactProblem } from './artifact-error.ts';
import type { Received } from './body-receiver.ts';
import type { RangeJob } from './range-receiver.ts';
import type { Segment } from './partial.ts';

/** What a receiver's thread is told. `id`: of a job, by which both sides speak of it. */
export type ToReceiver = { readonly id: number } & ({ readonly kind: 'receive'; readonly job: RangeJob } | { readonly kind: 'leave' });

/** `code`: it was a `GatewayError`; `problem`: an `ArtifactError`. */
export interface ThrownInThread {
  readonly message: string;
  readonly code: ErrorCode | undefined;
  readonly problem: ArtifactProblem | undefined;
}

/** `received`: as of `RangeReceiver.receive()`. */
export type JobEnd = { readonly received: Received | undefined } | { readonly thrown: ThrownInThread };

/** What it tells: as `RangeWatch`, and after `ended` nothing of the job touches its file any more. */
export type FromReceiver = { readonly id: number } & (
  | { readonly kind: 'heard'; readonly bytes: number }
  | { readonly kind: 'written'; readonly segment: Segment; readonly bytes: number }
  | { readonly kind: 'ended'; readonly end: JobEnd }
);
