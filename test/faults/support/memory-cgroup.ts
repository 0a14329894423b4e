import { existsSync } from 'node:fs';
import { mkdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { needsRoot } from './privileges.ts';

/** The controller of version 1, and the one of version 2, where it is given to the groups below the root. */
const roots = [
  { dir: '/sys/fs/cgroup/memory', limit: 'memory.limit_in_bytes', mark: '/sys/fs/cgroup/memory/memory.limit_in_bytes' },
  { dir: '/sys/fs/cgroup', limit: 'memory.max', mark: '/sys/fs/cgroup/cgroup.subtree_control' },
] as const;

const root = roots.find(({ mark }) => existsSync(mark));

/** Why no control group that limits memory can be made here; false where it can. */
export const needsMemoryLimits: string | false = needsRoot || (root === undefined && 'it needs control groups that limit memory');

export interface MemoryCgroup {
  /** For `GatewayOptions`: the gateway, and what it starts, begin in the group. */
  readonly prefix: readonly string[];
  /** Process ids of all that is in it. */
  members(): Promise<readonly number[]>;
  /** Once no process is left in it. */
  remove(): Promise<void>;
}

/** A control group in which all processes together may use `bytes` of memory. @throws Error where `needsMemoryLimits` */
export async function memoryCgroup(bytes: number): Promise<MemoryCgroup> {
  if (root === undefined) throw new Error(String(needsMemoryLimits));
  const dir = `${root.dir}/roundhouse-test-${process.pid}`;
  if (root.limit === 'memory.max' && !(await readFile(root.mark, 'utf8')).includes('memory')) await writeFile(root.mark, '+memory');
  await mkdir(dir);
  await writeFile(`${dir}/${root.limit}`, String(bytes));
  return {
    prefix: ['sh', '-c', `echo $$ > ${dir}/cgroup.procs && exec "$@"`, 'sh'],
    members: async () => (await readFile(`${dir}/cgroup.procs`, 'utf8')).split('\n').filter(Boolean).map(Number),
    remove: () => rmdir(dir),
  };
}
