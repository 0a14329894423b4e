import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

interface CallFrame {
  readonly functionName: string;
  readonly url: string;
  readonly lineNumber: number;
}

/** The parts of V8's CPU profile that are used here; times in microseconds. */
export interface CpuProfile {
  readonly nodes: readonly { readonly id: number; readonly callFrame: CallFrame; readonly children?: readonly number[] }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

export interface SelfTime {
  readonly where: string;
  readonly us: number;
}

/** Frames that V8 gives to time in which a thread did nothing. */
const waiting = new Set(['(idle)', '(root)', '(program)']);

/** Time spent in each function itself, most first; a thread that waits counts nothing. What has no source names its caller too. */
export function selfTimes(profile: CpuProfile): readonly SelfTime[] {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const parents = new Map(profile.nodes.flatMap((node) => (node.children ?? []).map((child) => [child, node.id] as const)));
  const totals = new Map<string, number>();
  for (const [at, id] of profile.samples.entries()) {
    const node = nodes.get(id);
    if (node === undefined || waiting.has(node.callFrame.functionName)) continue;
    const parent = node.callFrame.url === '' ? nodes.get(parents.get(id) ?? -1) : undefined;
    const caller = parent === undefined || parent.callFrame.functionName === '(root)' ? '' : ` ← ${place(parent.callFrame)}`;
    const where = `${place(node.callFrame)}${caller}`;
    // A delta is the time before its sample, so a sample lasts until the next one.
    totals.set(where, (totals.get(where) ?? 0) + (profile.timeDeltas[at + 1] ?? 0));
  }
  return [...totals].map(([where, us]) => ({ where, us })).sort((a, b) => b.us - a.us);
}

function place({ functionName, url, lineNumber }: CallFrame): string {
  return `${functionName || '(anonymous)'}${url === '' ? '' : ` ${shortUrl(url)}:${lineNumber + 1}`}`;
}

/** The path below the package or the repository's root: where it is installed does not matter. */
function shortUrl(url: string): string {
  return url.replace(/^.*\/node_modules\//, '').replace(/^file:\/\/.*\/(?=(?:src|bench)\/)/, '');
}

const shown = 25;

/** Of the profiles in `dir`, one a thread, the busiest one's file and its functions with the most time of their own. */
export async function busiestThread(dir: string): Promise<readonly string[]> {
  const files = (await readdir(dir)).filter((file) => file.endsWith('.cpuprofile'));
  const threads = await Promise.all(
    files.map(async (file) => {
      const times = selfTimes(JSON.parse(await readFile(join(dir, file), 'utf8')) as CpuProfile);
      return { file, times, us: times.reduce((sum, each) => sum + each.us, 0) };
    }),
  );
  const busiest = threads.sort((a, b) => b.us - a.us)[0];
  if (busiest === undefined) return [`no profile was written to ${dir}`];
  const lines = busiest.times
    .slice(0, shown)
    .map(({ where, us }) => `${((us / busiest.us) * 100).toFixed(1).padStart(5)} %  ${(us / 1000).toFixed(0).padStart(6)} ms  ${where}`);
  return [`${join(dir, busiest.file)}: ${(busiest.us / 1000).toFixed(0)} ms busy, most of it in`, ...lines];
}
