import type { Config } from '../config/config.ts';
import type { ModelReport } from '../supervisor/report.ts';
import { readyOf } from './progress.ts';

export interface Addresses {
  /** Where clients reach the data plane, e.g. `http://127.0.0.1:8000`. */
  readonly data: string;
  readonly admin: string;
  /** Of the gateway's own log; undefined where it is stderr. */
  readonly logFile?: string;
}

/** A URL a person on this machine can open: "any address" is not one. */
export function localUrl(host: string, port: number): string {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : host.includes(':') ? `[${host}]` : host;
  return `http://${reachable}:${port}`;
}

const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;

/** For a single-quoted shell word. */
const quoted = (json: string): string => json.replaceAll("'", String.raw`'\''`);

function modelLine({ name, engine, replicas, status, desired }: ModelReport): string {
  const ready = readyOf(replicas);
  const count = ready === desired ? plural(ready, 'replica') : `${ready} of ${plural(desired, 'replica')}`;
  return `  ${name}   ${count} on ${engine}${status.phase === 'ready' ? '' : ` (${status.asleep === true ? 'asleep: a request wakes it' : status.phase})`}`;
}

function curl(url: string, model: string, asksForKey: boolean): string {
  // Greedy, so that even the quickstart's tiny model answers sensibly.
  const body = JSON.stringify({
    model,
    temperature: 0,
    messages: [{ role: 'user', content: 'What is the capital of France? Answer in one sentence.' }],
  });
  const key = asksForKey ? ` -H 'Authorization: Bearer KEY'` : '';
  return `  curl ${url}/v1/chat/completions -H 'Content-Type: application/json'${key} \\\n    -d '${quoted(body)}'`;
}

/** How clients reach a model: by what route prefix and name. */
function entryOf(apps: Config['apps'], model: string): { readonly prefix: string; readonly name: string } | undefined {
  for (const [prefix, names] of apps) for (const [name, meant] of names) if (meant === model) return { prefix, name };
  return undefined;
}

/** What a person reads when the gateway serves: where, which models, and a line to paste. */
export function readyBlock(
  addresses: Addresses,
  models: readonly ModelReport[],
  { apps, settings: { access } }: { readonly apps: Config['apps']; readonly settings: Pick<Config['settings'], 'access'> },
): string {
  const first = models.find(({ status }) => status.phase === 'ready') ?? models.find(({ status }) => status.asleep === true);
  const entry = first === undefined ? undefined : entryOf(apps, first.name);
  const head = first === undefined ? `No model serves yet. Listening at ${addresses.data}` : `Ready at ${addresses.data}`;
  const lines = ['', `${head}   (metrics: ${addresses.admin}/metrics)`, ...models.map(modelLine)];
  if (entry !== undefined) {
    const asksForKey = access.keys.some(({ prefix }) => prefix === undefined || prefix === entry.prefix);
    lines.push('', 'Try it (add "stream":true to see it come):', curl(addresses.data + entry.prefix, entry.name, asksForKey));
  }
  const log = addresses.logFile === undefined ? [] : [`Its log is ${addresses.logFile}.`];
  return [...lines, '', ...log, 'Ctrl-C stops it.', ''].join('\n');
}
