import { GatewayError } from '../core/errors.ts';

/** What keeps a model's files away. */
export type ArtifactProblem =
  | 'forbidden'
  | 'missing'
  | 'wrong-region'
  | 'clock-skew'
  | 'credentials'
  | 'busy'
  | 'unreachable'
  | 'stalled'
  | 'changed'
  | 'checksum'
  | 'no-space'
  | 'unsafe'
  | 'unreadable';

/** Whether the same request may succeed if it is simply made again, and whether a whole new start without a change may. */
const traits: Readonly<Record<ArtifactProblem, { readonly retry: boolean; readonly permanent: boolean }>> = {
  forbidden: { retry: false, permanent: true },
  missing: { retry: false, permanent: true },
  'wrong-region': { retry: false, permanent: true },
  // The clock may be set right, and credentials renewed, without a change of the config.
  'clock-skew': { retry: false, permanent: false },
  credentials: { retry: false, permanent: false },
  busy: { retry: true, permanent: false },
  unreachable: { retry: true, permanent: false },
  stalled: { retry: true, permanent: false },
  changed: { retry: false, permanent: false },
  checksum: { retry: false, permanent: true },
  'no-space': { retry: false, permanent: false },
  unsafe: { retry: false, permanent: true },
  unreadable: { retry: false, permanent: true },
};

/** `artifact_unavailable`, with what the fetch and the supervisor decide by. */
export class ArtifactError extends GatewayError {
  readonly problem: ArtifactProblem;

  /** @param message what is wrong with what, and after a full stop what to do about it. */
  constructor(problem: ArtifactProblem, message: string, cause?: unknown) {
    super('artifact_unavailable', message, { cause });
    this.problem = problem;
  }

  /** Making the same request again may help. */
  get worthRetrying(): boolean {
    return traits[this.problem].retry;
  }

  /** Only a change can help: of the config, the bucket or its rights. */
  get permanent(): boolean {
    return traits[this.problem].permanent;
  }
}
