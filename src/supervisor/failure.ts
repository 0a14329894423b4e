import type { ErrorCode } from '../core/errors.ts';
import type { Exit } from './providers/provider.ts';

/** Why a replica does not serve, in words for a user. */
export interface Failure {
  readonly code: ErrorCode;
  /** The cause first; then, on lines of their own, what the engine said. */
  readonly message: string;
  /** Starting again without a change cannot help. */
  readonly permanent: boolean;
  /** The cause in the engine's log, in words of its plugin that are the same for every line of its kind; undefined where it has none. */
  readonly cause?: string;
}

/** What made the supervisor end a run, or notice its end. */
export type FailureReason =
  | { readonly kind: 'exited'; readonly exit: Exit }
  | { readonly kind: 'start-timeout' }
  | { readonly kind: 'mismatch'; readonly detail: string }
  | { readonly kind: 'unresponsive' }
  | { readonly kind: 'gpu-lost'; readonly detail: string }
  /** Its engine took the call to sleep, and said nothing more. */
  | { readonly kind: 'not-asleep' }
  /** `detail`: what it said instead; undefined: nothing in time. */
  | { readonly kind: 'not-awake'; readonly detail: string | undefined }
  | Hang;

/** `proof`: what shows it. `patience`: nothing does, but the first byte is overdue. */
export interface Hang {
  readonly kind: 'hung';
  readonly inFlight: number;
  readonly forMs: number;
  readonly proof: 'counters' | 'silence' | 'patience';
}

/** A cause that the engine's plugin read in its log, with the line it was read from. */
export interface LogCause {
  readonly cause: string;
  /** The cause without what only this line says. */
  readonly topic?: string;
  readonly remedy: string;
  readonly permanent: boolean;
  readonly line: string;
}

/** What is known about a run when it has ended. */
export interface Evidence {
  /** File name of the executable, or the URL of one that others run: whose failure it is. */
  readonly program: string;
  /** Others run it: it is let alone. */
  readonly external: boolean;
  readonly wasReady: boolean;
  /** The first cause in the log: what follows it is consequence. */
  readonly cause: LogCause | undefined;
  /** Last lines of the log, oldest first. */
  readonly tail: readonly string[];
  readonly phase: string;
  readonly startupTimeoutMs: number;
  /** What the last probe got, e.g. `GET /health: 503`. */
  readonly lastProbe: string | undefined;
  /** Processes of it that had left its group, and were ended too. */
  readonly escaped: number;
}

const linesShown = 5;
const lineShown = 500;

function exitInWords(exit: Exit): string {
  if (exit.signal === 'SIGKILL') {
    switch (exit.killer) {
      case 'out-of-memory':
        return "was killed by the kernel's out-of-memory killer";
      case 'somebody':
        return 'was killed by SIGKILL (not for want of memory)';
      case 'unknown':
      case undefined:
        return "was killed by SIGKILL (possibly by the kernel's out-of-memory killer)";
    }
  }
  if (exit.signal !== null) return `was killed by ${exit.signal}`;
  return exit.code === null ? 'ended (exit code unknown)' : `ended with exit code ${exit.code}`;
}

function quote(lines: readonly string[]): string {
  return lines
    .filter((line) => line.trim() !== '')
    .slice(-linesShown)
    .map((line) => `\n  ${line.length > lineShown ? `${line.slice(0, lineShown)}…` : line}`)
    .join('');
}

function exited(exit: Exit, evidence: Evidence): Failure {
  const phase = evidence.phase === 'starting' ? '' : ` (${evidence.phase})`;
  const when = evidence.wasReady ? 'while serving' : `while starting${phase}`;
  const head = `${evidence.program} ${exitInWords(exit)} ${when}`;
  const { cause } = evidence;
  if (exit.killer === 'out-of-memory') {
    const remedy =
      'This machine, or the limit of its container, has too little memory for it: give it more, or run fewer or smaller models';
    return { code: 'oom_killed', message: `${head}. ${remedy}.`, permanent: false };
  }
  if (cause === undefined) {
    const log = evidence.tail.length === 0 ? '; it printed nothing' : `; its last lines:${quote(evidence.tail)}`;
    return { code: 'engine_exited', message: `${head}${log}`, permanent: false };
  }
  // What ran once with these options can run again: only a start that never succeeded proves that trying is useless.
  const permanent = cause.permanent && !evidence.wasReady;
  return {
    code: 'engine_exited',
    message: `${head}: ${cause.cause}. ${cause.remedy}${quote([cause.line])}`,
    permanent,
    ...(cause.topic === undefined ? {} : { cause: cause.topic }),
  };
}

const hangSigns = {
  counters: 'its own counters stood still (gateway.timeouts.hang_s)',
  silence: 'it answered nothing else either (gateway.timeouts.hang_s)',
  patience: 'the first byte is overdue (gateway.timeouts.first_byte_s)',
} as const;

function hung({ inFlight, forMs, proof }: Hang, { program, external }: Evidence): Failure {
  const requests = inFlight === 1 ? 'a request' : `${inFlight} requests`;
  const message = `${program} hung: no byte for ${requests} in flight in ${Math.round(forMs / 1000)} s, and ${hangSigns[proof]}`;
  return { code: 'engine_hung', message: external ? message : `${message}; it was killed`, permanent: false };
}

/** The failure that `reason` and the evidence make together. */
export function explain(reason: FailureReason, evidence: Evidence): Failure {
  const failure = explainReason(reason, evidence);
  if (evidence.escaped === 0) return failure;
  const who = evidence.escaped === 1 ? '1 of its processes' : `${evidence.escaped} of its processes`;
  return {
    ...failure,
    message: `${failure.message}\n${who} had left its process group, and ${evidence.escaped === 1 ? 'was' : 'were'} ended too`,
  };
}

function explainReason(reason: FailureReason, evidence: Evidence): Failure {
  switch (reason.kind) {
    case 'exited':
      return exited(reason.exit, evidence);
    case 'start-timeout': {
      const probe = evidence.lastProbe === undefined ? '' : `; last probe: ${evidence.lastProbe}`;
      const message =
        `${evidence.program} was not ready after ${evidence.startupTimeoutMs / 1000} s (gateway.timeouts.startup_s), in phase "${evidence.phase}"${probe}` +
        (evidence.tail.length === 0 ? '' : `; its last lines:${quote(evidence.tail)}`);
      return { code: 'start_timeout', message, permanent: false };
    }
    case 'mismatch':
      return { code: 'model_mismatch', message: `${evidence.program}: ${reason.detail}`, permanent: false };
    case 'gpu-lost':
      return {
        code: 'gpu_lost',
        message: `${evidence.program} was killed: the driver has lost its GPU (${reason.detail}). It starts again on another one, if there is one`,
        permanent: false,
      };
    case 'not-asleep':
      return { code: 'sleep_failed', message: `${evidence.program} did not say in time that it sleeps; it was killed`, permanent: false };
    case 'not-awake': {
      const seen = reason.detail ?? (evidence.lastProbe === undefined ? 'not in time' : `not in time (${evidence.lastProbe})`);
      return { code: 'sleep_failed', message: `${evidence.program} did not wake: ${seen}. It is started anew`, permanent: false };
    }
    case 'hung':
      return hung(reason, evidence);
    case 'unresponsive': {
      const probe = evidence.lastProbe === undefined ? '' : ` (${evidence.lastProbe})`;
      return {
        code: 'engine_exited',
        message: `${evidence.program} stopped answering its health probe${probe}${evidence.external ? '' : ' and was killed'}`,
        permanent: false,
      };
    }
  }
}
