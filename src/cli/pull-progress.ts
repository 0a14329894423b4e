import { bytesText, progressText } from '../models/progress.ts';
import type { FetchProgress } from '../models/progress.ts';
import { duration } from './duration.ts';

const clearLine = '\r\u001B[2K';
const barCells = 24;

/** A bar, the share, the rate and the time that is left. */
export function barText(progress: FetchProgress): string {
  if (progress.kind !== 'downloading') return progressText(progress);
  const { doneBytes, totalBytes, bytesPerSecond, etaMs } = progress;
  const share = totalBytes === 0 ? 1 : doneBytes / totalBytes;
  const full = Math.floor(share * barCells);
  const bar = `[${'#'.repeat(full)}${'.'.repeat(barCells - full)}]`;
  const rate = bytesPerSecond > 0 ? `  ${bytesText(bytesPerSecond)}/s` : '';
  const left = etaMs === undefined ? '' : `  ${duration(etaMs)} left`;
  return `${bar} ${Math.floor(share * 100)} %  ${bytesText(doneBytes)} of ${bytesText(totalBytes)}${rate}${left}`;
}

/** How far a pull is: on a terminal a line that is rewritten, else a line for each tenth of it. */
export class PullProgress {
  readonly #out: Pick<NodeJS.WriteStream, 'write' | 'isTTY'>;
  readonly #wanted: boolean;
  #shown = false;
  #step = '';

  constructor(out: Pick<NodeJS.WriteStream, 'write' | 'isTTY'>, wanted: boolean) {
    this.#out = out;
    this.#wanted = wanted;
  }

  show(progress: FetchProgress): void {
    if (!this.#wanted) return;
    if (this.#out.isTTY) {
      this.#out.write(`${clearLine}${barText(progress)}`);
      this.#shown = true;
      return;
    }
    const step = progress.kind === 'downloading' ? String(Math.floor((progress.doneBytes / progress.totalBytes) * 10)) : progress.kind;
    if (step === this.#step) return;
    this.#step = step;
    this.#out.write(`${progressText(progress)}\n`);
  }

  /** Takes the line away. */
  end(): void {
    if (this.#shown) this.#out.write(clearLine);
    this.#shown = false;
  }
}
