import type { ModelReport } from '../supervisor/report.ts';
import { isNew, loadingLine, type News, newsOf } from './progress.ts';

const clearLine = '\r\u001B[2K';

/** What the gateway says to the person who started it: news as lines; on a terminal, also a line that is rewritten while models load. */
export class Terminal {
  readonly #out: NodeJS.WriteStream;
  #shown: ReadonlyMap<string, News> = new Map();
  #live = '';

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
  }

  line(text: string): void {
    this.#out.write(`${this.#live === '' ? '' : clearLine}${text}\n${this.#live}`);
  }

  /** Prints what changed since the last call. */
  update(models: readonly ModelReport[], now: number): void {
    const news = newsOf(models, !this.#out.isTTY);
    for (const [id, told] of news)
      if (isNew(this.#shown.get(id), told)) this.line(told.failure === undefined ? told.headline : `${told.headline}\n${told.failure}`);
    this.#shown = new Map([...this.#shown, ...news]);
    this.refresh(models, now);
  }

  /** Rewrites the line with phases and seconds. */
  refresh(models: readonly ModelReport[], now: number): void {
    if (!this.#out.isTTY) return;
    const live = loadingLine(models, now)?.slice(0, this.#out.columns - 1) ?? '';
    if (live === this.#live) return;
    this.#out.write(`${this.#live === '' ? '' : clearLine}${live}`);
    this.#live = live;
  }
}
