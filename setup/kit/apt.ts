import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../child.mjs';

/** Where packages come from: what the machine's apt is configured for, or Debian sid on the machine's own Debian mirror. */
export type AptSource = { readonly kind: 'machine' } | { readonly kind: 'sid'; readonly keyring: string };

export interface Unpacked {
  /** A file-system root with the packages and all they depend on, the C library too. */
  readonly root: string;
  readonly downloadedBytes: number;
}

/**
 * Fetches packages with all their dependencies and unpacks them into `directory/root`. The system's packages, lists and caches are neither
 * read nor changed; only its configuration (mirror, proxy, keys) is used. Needs no privileges.
 */
export async function unpackPackages(
  source: AptSource,
  names: readonly string[],
  directory: string,
  signal: AbortSignal,
): Promise<Unpacked> {
  for (const part of ['lists/partial', 'cache/archives/partial', 'root']) mkdirSync(join(directory, part), { recursive: true });
  const config = join(directory, 'apt.conf');
  writeFileSync(join(directory, 'status'), '');
  writeFileSync(config, aptConfig(directory, source.kind));
  const apt = (...args: readonly string[]): Promise<string> =>
    run('apt-get', ['-c', config, '-qq', ...args], { signal, timeoutMs: 600_000 });
  if (source.kind === 'sid') writeFileSync(join(directory, 'sources.list'), await sidSources(source.keyring, directory, signal));
  await apt('update');
  await apt('install', '--yes', '--download-only', '--no-install-recommends', ...names);
  const archives = join(directory, 'cache', 'archives');
  const files = readdirSync(archives).filter((name) => name.endsWith('.deb'));
  const root = join(directory, 'root');
  for (const file of files) await run('dpkg', ['-x', join(archives, file), root], { signal });
  return { root, downloadedBytes: files.reduce((sum, file) => sum + statSync(join(archives, file)).size, 0) };
}

/** Read after the machine's own configuration: its hooks are dropped, its proxies and keys stay. An empty `status` makes every dependency missing. */
export function aptConfig(directory: string, source: AptSource['kind']): string {
  const at = (...parts: readonly string[]): string => JSON.stringify(join(directory, ...parts));
  const lines = [
    `Dir::State::Lists ${at('lists')};`,
    `Dir::State::status ${at('status')};`,
    `Dir::Cache ${at('cache')};`,
    `Dir::Cache::Archives ${at('cache', 'archives')};`,
    'APT::Update::Error-Mode "any";',
    // Root's apt would fetch as a user who may not look into this directory.
    'APT::Sandbox::User "root";',
    'Acquire::Languages "none";',
    '#clear APT::Update::Pre-Invoke;',
    '#clear APT::Update::Post-Invoke;',
    '#clear APT::Update::Post-Invoke-Success;',
    '#clear DPkg::Post-Invoke;',
  ];
  if (source === 'sid') lines.push(`Dir::Etc::SourceList ${at('sources.list')};`, 'Dir::Etc::SourceParts "/dev/null";');
  return `${lines.join('\n')}\n`;
}

async function sidSources(keyring: string, directory: string, signal: AbortSignal): Promise<string> {
  const format = ['indextargets', '--format', '$(REPO_URI) $(ORIGIN) $(RELEASE)'];
  let targets = await run('apt-get', format, { signal });
  if (debianMirror(targets) === undefined) {
    // Images are shipped without lists, and then apt does not tell its targets.
    const own = join(directory, 'machine.conf');
    writeFileSync(own, aptConfig(directory, 'machine'));
    await run('apt-get', ['-c', own, '-qq', 'update'], { signal, timeoutMs: 600_000 });
    targets = await run('apt-get', ['-c', own, ...format], { signal });
  }
  const mirror = debianMirror(targets);
  if (mirror === undefined) throw new Error('apt is configured for no Debian archive');
  return `deb [signed-by=${keyring} target=Packages] ${mirror} sid main\n`;
}

/** The machine's mirror of the main Debian archive, from lines of `URI origin release`; undefined if there is none. */
export function debianMirror(targets: string): string | undefined {
  return targets
    .split('\n')
    .map((line) => line.trim().split(' '))
    .find(([, origin, release]) => origin === 'Debian' && release !== undefined && !release.includes('-security'))?.[0];
}
