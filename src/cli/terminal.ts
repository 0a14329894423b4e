import type { ChangeReply } from '../admin/api.ts';
import type { ModelReport } from '../supervisor/report.ts';
import { sizeOf } from './live-view.ts';
import { isNew, loadingLine, type News, newsOf } from './progress.ts';
import type { OutputOptions } from './verb.ts';

const clearLine = '\r\u001B[2K';

/** What a run of the gateway says, as `--json` prints it: one a line. */
export type Said =
  | { readonly kind: 'warning'; readonly message: string }
  /** What a replica has come to, or an engine that should be upgraded; `failure`: why its last run failed. */
  | { readonly kind: 'news'; readonly message: string; readonly failure?: string }
  /** The start is over: a model serves (`ready`), or none does yet. URLs without a path. */
  | {
      readonly kind: 'ready' | 'listening';
      readonly url: string;
      readonly adminUrl: string;
      /** Where the gateway's own log is, unless that is stderr. */
      readonly logFile?: string;
      readonly models: readonly { readonly name: string; readonly ready: number; readonly desired: number }[];
    }
  | ({ readonly kind: 'reloaded' } & ChangeReply)
  | { readonly kind: 'reload_refused'; readonly message: string }
  | { readonly kind: 'stopping'; readonly signal: NodeJS.Signals }
  | { readonly kind: 'draining'; readonly requests: number; readonly atMostS: number }
  | { readonly kind: 'stopped'; readonly enginesRun: boolean };

/** Whether it is told to somebody who wants to hear of nothing but errors. */
const isError = (said: Said): boolean => said.kind === 'reload_refused' || (said.kind === 'news' && said.failure !== undefined);

/** What the gateway says to the person who started it: news as lines; on a terminal, also a line that is rewritten while models load. */
export class Terminal {
  readonly #out: NodeJS.WriteStream;
  readonly #options: OutputOptions;
  /** Whether there is a line to rewrite. */
  readonly #rewrites: boolean;
  #shown: ReadonlyMap<string, News> = new Map();
  #live = '';

  constructor(out: NodeJS.WriteStream, options: OutputOptions) {
    this.#out = out;
    this.#options = options;
    this.#rewrites = out.isTTY && options.json !== true && options.quiet !== true;
  }

  /** @param words what `said` is to a person */
  say(said: Said, words: string): void {
    if (this.#options.json === true) this.#out.write(`${JSON.stringify(said)}\n`);
    else if (this.#options.quiet !== true || isError(said)) this.#out.write(`${this.#live === '' ? '' : clearLine}${words}\n${this.#live}`);
  }

  warn(message: string): void {
    this.say({ kind: 'warning', message }, `warning: ${message}`);
  }

  /** Prints what changed since the last call. */
  update(models: readonly ModelReport[], now: number): void {
    const news = newsOf(models, !this.#rewrites);
    // What is loading may be something else by now: it is told after the news.
    this.#show('');
    for (const [id, told] of news) {
      if (!isNew(this.#shown.get(id), told)) continue;
      const { headline: message, failure } = told;
      if (failure === undefined) this.say({ kind: 'news', message }, message);
      else this.say({ kind: 'news', message, failure: failure.trimStart() }, `${message}\n${failure}`);
    }
    this.#shown = new Map([...this.#shown, ...news]);
    this.refresh(models, now);
  }

  /** Rewrites the line with phases and seconds. */
  refresh(models: readonly ModelReport[], now: number): void {
    if (!this.#rewrites) return;
    const live = loadingLine(models, now)?.slice(0, sizeOf(this.#out).columns - 1) ?? '';
    this.#show(live);
  }

  #show(live: string): void {
    if (live === this.#live) return;
    this.#out.write(`${this.#live === '' ? '' : clearLine}${live}`);
    this.#live = live;
  }
}
