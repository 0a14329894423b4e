import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runNode } from '../measure/node-process.ts';
import { median } from '../measure/statistics.ts';
import { alignColumns } from '../report/table.ts';
import { sourceEntry } from '../systems/package.ts';

const models = 100;
const hours = 24;
/** Between two requests of one model, and how long each takes. */
const everyS = 30;
const durationS = 3;
const dayS = hours * 3600;

/** Each scales between nothing and four replicas of Ray's defaults. */
const configText = `llm_configs:\n${Array.from(
  { length: models },
  (_, at) =>
    `  - model_loading_config: {model_id: m${at}}\n    llm_engine: fake\n    deployment_config: {autoscaling_config: {min_replicas: 0, max_replicas: 4, target_ongoing_requests: 2}}\n`,
).join('')}`;

/** Requests in the order of their time; each model asks at its own second of the half minute, twice as often in the second half of a day. */
function traceText(): { readonly csv: string; readonly requests: number } {
  const rows = ['time_s,model,duration_s'];
  for (let second = 0; second < dayS; second += 1) {
    const every = second < dayS / 2 ? everyS : everyS / 2;
    for (let model = second % every; model < models; model += every) rows.push(`${second},m${model},${durationS}`);
  }
  return { csv: `${rows.join('\n')}\n`, requests: rows.length - 1 };
}

interface Told {
  readonly models: readonly { readonly requests: number }[];
}

/** Milliseconds of a `gateway simulate` of that day, as a process. */
async function simulated(config: string, trace: string, requests: number, dir: string, signal: AbortSignal): Promise<number> {
  const began = performance.now();
  const told = await runNode([sourceEntry, 'simulate', '-c', config, '--trace', trace, '--json'], dir, signal);
  const served = (JSON.parse(told) as Told).models.reduce((sum, model) => sum + model.requests, 0);
  if (served !== requests) throw new Error(`gateway simulate tells of ${served} of ${requests} requests`);
  return performance.now() - began;
}

/** What a simulated day of many models takes. `dir`: for the files. */
export async function simulateReport(quick: boolean, dir: string, signal: AbortSignal): Promise<readonly string[]> {
  const [config, trace] = [join(dir, 'models.yaml'), join(dir, 'requests.csv')];
  const { csv, requests } = traceText();
  await writeFile(config, configText);
  await writeFile(trace, csv);
  const times: number[] = [];
  for (let round = 0; round < (quick ? 1 : 3); round += 1) times.push(await simulated(config, trace, requests, dir, signal));
  const seconds = median(times) / 1000;
  return alignColumns([
    [`${hours} h of ${models} models`, 'requests', 'median', 'goal', 'in a second'],
    ['gateway simulate', String(requests), `${seconds.toFixed(1)} s`, '< 10 s', `${Math.round(dayS / seconds)} s of the day`],
  ]);
}
