import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../child.mjs';
import { onPath } from '../kit/machine.ts';
import type { StoreServer } from './store-server.ts';

const module = 'github.com/versity/versitygw';
const version = '1.8.0';
/** Go's digest of the module's files, its go.sum among them, which pins all that it is built from. */
const moduleSum = 'h1:au+wI+aybno/STsQiSm35Uu6Q6iK5MWReQxgO6SEMFc=';
/** Five minutes on two cores that others use too. */
const buildLimitMs = 1_800_000;

/** An S3 server that keeps plain files and checks signatures. Nobody ships its program in a registry; it is built. */
export const versitygw: StoreServer = {
  name: 'versitygw',
  version,
  title: `versitygw ${version}, an S3 server, built from the Go module`,
  obstacle: (machine, env) => {
    if (machine.platform === 'win32') return 'it does not run on Windows';
    return onPath('go', env) === undefined ? 'it is built with Go, which is not on PATH' : undefined;
  },
  async install({ env: own, signal, stage }) {
    const target = join(stage, 'bin');
    mkdirSync(target);
    // What a user sets for builds of their own, as another system or flags, does not apply.
    const env = { ...own, GOBIN: target, GOFLAGS: '-modcacherw', GOOS: '', GOARCH: '', GOWORK: 'off' };
    const said = await run('go', ['mod', 'download', '-json', `${module}@v${version}`], {
      env,
      signal,
      cwd: stage,
      timeoutMs: buildLimitMs,
    });
    const sum = /"Sum": "([^"]*)"/.exec(said)?.[1];
    if (sum !== moduleSum) throw new Error(`the digest of ${module} ${version} is ${sum ?? 'not told'}, expected ${moduleSum}`);
    await run('go', ['install', `${module}/cmd/versitygw@v${version}`], { env, signal, cwd: stage, timeoutMs: buildLimitMs });
    return join(target, 'versitygw');
  },
};
