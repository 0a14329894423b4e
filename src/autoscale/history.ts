import type { Autoscaling } from '../config/config.ts';
import { decide } from './decide.ts';
import type { ScaleInput, ScaleReason, ScaleState } from './decide.ts';

/** A decision with all that it was made from. */
export interface DecisionRecord {
  /** Unix milliseconds. */
  readonly at: number;
  readonly rule: Autoscaling;
  readonly state: ScaleState;
  readonly input: ScaleInput;
  readonly replicas: number;
  readonly reason: ScaleReason;
}

/** The number was set from outside of the rule: by hand, or because another model took the GPUs. */
export interface InterventionRecord {
  readonly at: number;
  readonly from: number;
  readonly replicas: number;
  readonly because: string;
}

export type HistoryRecord = ({ readonly kind: 'decision' } & DecisionRecord) | ({ readonly kind: 'intervention' } & InterventionRecord);

const kept = 256;

/** The last decisions that were unlike the one before them: the number changed, or the reason did. */
export class History {
  /** The last of them count; a few more are let stand before they are cut off. */
  readonly #records: HistoryRecord[] = [];
  #last: ScaleReason | undefined;

  /** Notes a decision if it says something new. */
  decided(record: DecisionRecord): void {
    if (record.reason === this.#last && record.replicas === record.state.target) return;
    this.#last = record.reason;
    this.#add({ kind: 'decision', ...record });
  }

  intervened(record: InterventionRecord): void {
    this.#last = undefined;
    this.#add({ kind: 'intervention', ...record });
  }

  #add(record: HistoryRecord): void {
    this.#records.push(record);
    if (this.#records.length >= 2 * kept) this.#records.splice(0, this.#records.length - kept);
  }

  /** Oldest first, the last 256. */
  records(): readonly HistoryRecord[] {
    return this.#records.slice(-kept);
  }
}

/** Decides each record anew, and returns those that come out differently now. */
export function replay(records: readonly HistoryRecord[]): readonly { readonly record: DecisionRecord; readonly now: DecisionRecord }[] {
  return records.flatMap((record) => {
    if (record.kind !== 'decision') return [];
    const { replicas, why } = decide(record.rule, record.state, record.input);
    if (replicas === record.replicas && why.reason === record.reason) return [];
    return [{ record, now: { ...record, replicas, reason: why.reason } }];
  });
}
