import { z } from 'zod';

/** Whose start it is. */
export interface StartSubject {
  readonly model: string;
  readonly engine: string;
  /** Equal for two configs exactly when their replicas would be the same process. */
  readonly fingerprint: string;
}

const version = 1;
/** Starts that are remembered; the oldest are forgotten first. */
const longest = 256;

const startSchema = z.strictObject({
  model: z.string(),
  engine: z.string(),
  fingerprint: z.string(),
  /** Phase → milliseconds from when the engine first said so until it was ready. */
  left: z.record(z.string(), z.number().min(0)),
});

/** How long the last start of each model took: what the start-times file of a state directory holds. Newest last. */
export const startTimesSchema = z.strictObject({ version: z.literal(version), starts: z.array(startSchema).readonly() }).readonly();

export type StartTimes = z.infer<typeof startTimesSchema>;

export const noStartTimes: StartTimes = { version, starts: [] };

/**
 * Notes a start that has come to its end.
 * @param phases phase → when the engine first said so, in the clock of `readyAt`.
 */
export function learn(times: StartTimes, subject: StartSubject, phases: ReadonlyMap<string, number>, readyAt: number): StartTimes {
  const { model, engine, fingerprint } = subject;
  const left = Object.fromEntries([...phases].map(([phase, at]) => [phase, Math.max(0, Math.round(readyAt - at))]));
  const others = times.starts.filter((start) => start.fingerprint !== fingerprint);
  return { version, starts: [...others, { model, engine, fingerprint, left }].slice(-longest) };
}

/**
 * Milliseconds until a start that has been in `phase` for `phaseForMs` is over, if it goes as the last one did: of the same process, else
 * of the same model with other options. Undefined where none is remembered, or that time is up: then nobody knows.
 */
export function remainingMs(times: StartTimes, subject: StartSubject, phase: string, phaseForMs: number): number | undefined {
  const start =
    times.starts.find(({ fingerprint }) => fingerprint === subject.fingerprint) ??
    times.starts.findLast(({ model, engine }) => model === subject.model && engine === subject.engine);
  const left = (start?.left[phase] ?? 0) - phaseForMs;
  return left > 0 ? left : undefined;
}
