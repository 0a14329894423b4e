import type { Clock } from '../core/clock.ts';

export type FetchProgress =
  | { readonly kind: 'listing' }
  /** Another process fetches the same model. */
  | { readonly kind: 'waiting' }
  /** The machine was started anew since it was fetched: what is here is read. */
  | { readonly kind: 'verifying' }
  | {
      readonly kind: 'downloading';
      readonly doneBytes: number;
      readonly totalBytes: number;
      /** Over the last seconds. */
      readonly bytesPerSecond: number;
      /** Undefined while nothing comes. */
      readonly etaMs: number | undefined;
    };

const windowMs = 5000;
const tellEveryMs = 500;

/** Counts bytes, and tells at most twice a second how far it is. */
export class ProgressMeter {
  readonly #clock: Clock;
  readonly #totalBytes: number;
  readonly #tell: (progress: FetchProgress) => void;
  #done: number;
  #told: number;
  /** Oldest first: what was done when. */
  readonly #samples: { readonly at: number; readonly done: number }[] = [];

  constructor(clock: Clock, totalBytes: number, doneBytes: number, tell: (progress: FetchProgress) => void) {
    this.#clock = clock;
    this.#totalBytes = totalBytes;
    this.#done = doneBytes;
    this.#tell = tell;
    this.#told = clock.now();
    this.#samples.push({ at: this.#told, done: doneBytes });
    tell(this.#now());
  }

  add(bytes: number): void {
    this.#done += bytes;
    const now = this.#clock.now();
    if (now - this.#told < tellEveryMs) return;
    this.#told = now;
    this.#samples.push({ at: now, done: this.#done });
    while ((this.#samples[0]?.at ?? now) < now - windowMs) this.#samples.shift();
    this.#tell(this.#now());
  }

  #now(): FetchProgress {
    const first = this.#samples[0];
    const forMs = this.#told - (first?.at ?? this.#told);
    const came = this.#done - (first?.done ?? this.#done);
    const bytesPerSecond = forMs > 0 && came > 0 ? (came / forMs) * 1000 : 0;
    const left = this.#totalBytes - this.#done;
    return {
      kind: 'downloading',
      doneBytes: this.#done,
      totalBytes: this.#totalBytes,
      bytesPerSecond,
      etaMs: bytesPerSecond > 0 ? (left / bytesPerSecond) * 1000 : undefined,
    };
  }
}

/** `2.3 GB`; decimal units, as stores and disks count. */
export function bytesText(bytes: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 99.5 ? value.toFixed(0) : value.toFixed(1)} ${units[unit] ?? ''}`;
}

/** What status, waiting streams and the log show. */
export function progressText(progress: FetchProgress): string {
  switch (progress.kind) {
    case 'listing':
      return 'looking for the model files';
    case 'verifying':
      return 'reading the model files, which were fetched before the machine was started';
    case 'waiting':
      return 'waiting for another gateway to download the model';
    case 'downloading': {
      const { doneBytes, totalBytes, bytesPerSecond } = progress;
      const percent = totalBytes === 0 ? 100 : Math.floor((doneBytes / totalBytes) * 100);
      const rate = bytesPerSecond > 0 ? `, ${bytesText(bytesPerSecond)}/s` : '';
      return `downloading ${percent} % of ${bytesText(totalBytes)}${rate}`;
    }
  }
}
