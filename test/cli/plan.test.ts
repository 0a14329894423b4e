import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { PlanReply } from '../../src/admin/api.ts';
import type { Changes } from '../../src/cli/change-text.ts';
import type { Autoscaling } from '../../src/config/config.ts';
import { changeText } from '../../src/cli/change-text.ts';
import { launchText } from '../../src/cli/plan-text.ts';
import { modelName } from '../../src/core/ids.ts';
import type { LaunchPlan, PlannedGpus, PlannedReplica } from '../../src/supervisor/launch-plan.ts';
import { configText, fakeModel, runGateway, startGateway, tempDir } from '../support/gateway-process.ts';
import { scalingRule } from '../support/scaling-rule.ts';

const launch = (replicas: readonly PlannedReplica[], over: Partial<LaunchPlan> = {}): LaunchPlan => ({
  ports: { first: 20_000, last: 20_009 },
  stateDir: '/state',
  gpus: [],
  cards: [],
  gpuProblem: undefined,
  replicas,
  scaling: [],
  leaving: [],
  ...over,
});

const replica = (name: string, index: number, gpus: PlannedGpus, argv: readonly string[] = ['engine', '<port>']): PlannedReplica => ({
  kind: 'process',
  replica: `${name}-${index}`,
  model: modelName(name),
  index,
  engine: 'fake',
  running: gpus.kind === 'held',
  asleep: false,
  source: { kind: 'reference', value: 'org/model' },
  argv,
  missing: undefined,
  environment: { set: ['HF_TOKEN'], inherited: ['PATH'] },
  gpus,
});

const nothing: Changes = { models: [], applies: [], needsRestart: [], warnings: [] };

const keep = (model: string, ...keys: string[]) => ({ model, action: 'keep', keys }) as const;

test('changes are told model by model, what nothing happens to in one line', () => {
  assert.equal(
    changeText({
      models: [
        keep('a'),
        keep('b', 'gateway.priority'),
        { model: 'c', action: 'restart', keys: ['engine_kwargs.seed', 'runtime_env.env_vars'] },
        { model: 'd', action: 'add', keys: [] },
        keep('e'),
        { model: 'f', action: 'remove', keys: [] },
      ],
      applies: ['gateway.gpus'],
      needsRestart: ['gateway.listen'],
      warnings: ['x.yaml:1:2: no effect'],
    }),
    `unchanged: a, e
b: keeps its processes; changes at once: gateway.priority
c: restart, one replica at a time, because of engine_kwargs.seed, runtime_env.env_vars
d: add
f: remove
applies at once: gateway.gpus
applies only when the gateway is started anew: gateway.listen
warning: x.yaml:1:2: no effect
`,
  );
});

test('a restart names the GPUs it moves from and to', () => {
  const changed: Changes = { ...nothing, models: [{ model: 'a', action: 'restart', keys: ['k'] }] };
  const to = (...gpus: PlannedGpus[]): string => {
    const replicas = gpus.map((each, index) => replica('a', index + 1, each));
    const leaving = [{ replica: 'a-0', model: modelName('a'), gpus: ['0'] }];
    return changeText({ ...changed, launch: launch(replicas, { leaving }) }).replace(/^.*; /, '');
  };
  assert.equal(to({ kind: 'placed', labels: ['1', '2'], when: 'now' }), 'GPU 0 -> GPU 1,2\n');
  assert.equal(to({ kind: 'placed', labels: ['0'], when: 'after-drain' }), 'GPU 0 -> GPU 0, once a replica that runs now has gone\n');
  assert.equal(to({ kind: 'unplaced', reason: '0 held by b-0', possible: true }), 'GPU 0 -> would wait: 0 held by b-0\n');
  assert.equal(to({ kind: 'none' }), 'GPU 0 -> no GPU\n');
  assert.match(changeText({ ...changed, launch: launch([replica('a', 1, { kind: 'none' })]) }), /because of k\n$/);
});

test('replicas that differ only in their GPUs share a command, which a shell takes as it stands', () => {
  const argv = ['/opt/my engine', '--port', '<port>', '--listen=127.0.0.1:<port>', '--key', '<key>', "it's", '<other>', '{"a":1}', ''];
  const text = launchText(
    launch(
      [
        replica('a', 0, { kind: 'placed', labels: ['0'], when: 'now' }, argv),
        replica('a', 1, { kind: 'unplaced', reason: 'needs 2 GPUs, there are 1 to use', possible: false }, argv),
      ],
      {
        gpus: [
          { label: '0', name: 'NVIDIA L4', memoryBytes: 24 * 2 ** 30, holders: ['a-0'], quarantined: undefined },
          { label: '1', name: 'NVIDIA L4', memoryBytes: 24 * 2 ** 30, holders: [], quarantined: 'GPU is lost' },
        ],
        gpuProblem: 'nvidia-smi: no answer',
        leaving: [{ replica: 'b-0', model: modelName('b'), gpus: ['1'] }],
      },
    ),
  );
  assert.equal(
    text,
    String.raw`
a on fake, model org/model (resolved by the engine)
  a-0: GPU 0
  a-1: cannot be placed: needs 2 GPUs, there are 1 to use
    command      '/opt/my engine' --port <port> --listen=127.0.0.1:<port> --key <key> 'it'\''s' '<other>' '{"a":1}' ''
    environment  HF_TOKEN; inherited: PATH

b-0: ends, frees GPU 1

The GPUs could not all be read: nvidia-smi: no answer
GPU 0  NVIDIA L4, 24 GiB  a-0
GPU 1  NVIDIA L4, 24 GiB  out of use: GPU is lost
Engines get a free port each of 127.0.0.1:20000-20009; state directory /state
`,
  );
});

const ruleLine = (rule: Partial<Autoscaling>): string | undefined =>
  /^m: .*$/mu.exec(launchText(launch([], { scaling: [{ model: modelName('m'), rule: scalingRule({ max: 3, ...rule }) }] })))?.[0];

test('a model that is scaled is shown with its target, where that comes from, and when it sleeps', () => {
  const byEngine = { ongoing: 179.2, source: 'engine' } as const;
  assert.equal(
    ruleLine({ target: byEngine }),
    'm: 0 to 3 replicas by load, 179.2 requests at each (0.7 of what the engine works on at once)',
  );
  assert.equal(
    ruleLine({ sleepMs: 60_000, toZero: { kind: 'idle', ms: 3_600_000 } }),
    'm: 0 to 3 replicas by load, 2 requests at each (target_ongoing_requests); asleep after 60 s without a request, stopped after 3600 s',
  );
});

test('no control character of a config reaches the terminal', () => {
  assert.ok(!launchText(launch([replica('a', 0, { kind: 'none' }, ['engine', '\u001B[2J'])])).includes('\u001B'));
  assert.ok(!changeText({ ...nothing, warnings: ['\u001B[2J'] }).includes('\u001B'));
});

test('without a gateway: what a start would launch; start --dry-run shows the same, and starts nothing', async (t) => {
  const dir = await tempDir(t);
  const file = join(dir, 'config.yaml');
  const env = { runtime_env: { env_vars: { MY_TOKEN: 'a-secret-value' } } };
  await writeFile(file, configText(join(dir, 'state'), [{ ...fakeModel('m', { tokens_per_s: 7 }, { num_replicas: 2 }), ...env }]));
  const { code, stdout } = await runGateway(['plan', '-c', file]);
  assert.equal(code, 0);
  assert.match(
    stdout,
    /^No gateway runs .*\n\nm on fake.*\n {2}m-0: no GPU\n {2}m-1: no GPU\n {4}command .*--port <port> .*--tokens-per-s=7/,
  );
  assert.match(stdout, /\n {4}environment .*\bMY_TOKEN\b.*; inherited: .*\bPATH\b/);
  assert.deepEqual(await runGateway(['start', '--dry-run', '-c', file]), { code: 0, stdout, stderr: '' });
  const json = await runGateway(['plan', '--json', '-c', file]);
  const plan = JSON.parse(json.stdout) as { kind: string; launch: LaunchPlan };
  assert.deepEqual([plan.kind, plan.launch.replicas.length, plan.launch.stateDir], ['start', 2, join(dir, 'state')]);
  assert.ok(!`${stdout}${json.stdout}`.includes('a-secret-value'));
  assert.deepEqual(await runGateway(['plan', '--quiet', '-c', file]), { code: 0, stdout: '', stderr: '' });
  await writeFile(file, 'llm_configs: []\n');
  const invalid = await runGateway(['plan', '-c', file]);
  assert.equal(invalid.code, 4);
  assert.match(invalid.stderr, /config\.yaml:1:14: llm_configs: expected a list of at least one model/);
});

test('with a gateway: what a reload would do to each model, and after it what it did', async (t) => {
  const gateway = await startGateway(t, [fakeModel('same'), fakeModel('other'), fakeModel('gone')]);
  const before = (await gateway.status()).map(({ replicas }) => replicas[0]?.pid);
  await gateway.writeConfig([fakeModel('same'), fakeModel('other', { tokens_per_s: 9 }), fakeModel('new')]);
  const planned = await runGateway(['plan', '-c', gateway.configFile]);
  assert.equal(planned.code, 0, planned.stderr);
  const changes = 'unchanged: same\nother: restart, one replica at a time, because of engine_kwargs.tokens_per_s\nnew: add\ngone: remove\n';
  const [heading, ...rest] = planned.stdout.split('\n');
  assert.equal(heading, `A reload of the gateway that runs (pid ${gateway.pid}) with this config:`);
  assert.ok(rest.join('\n').startsWith(changes), planned.stdout);
  assert.match(planned.stdout, /\nother on fake.*\n {2}other-1: no GPU\n {4}command .*--tokens-per-s=9/);
  assert.doesNotMatch(planned.stdout, /\nsame on fake/);
  assert.match(planned.stdout, /\nother-0: ends\ngone-0: ends\n/);
  const { pid, launch: reply } = JSON.parse((await runGateway(['plan', '--json', '-c', gateway.configFile])).stdout) as PlanReply;
  assert.deepEqual([pid, reply.replicas.filter(({ running }) => running).map((each) => each.replica)], [gateway.pid, ['same-0']]);
  assert.deepEqual(
    (await gateway.status()).map(({ replicas }) => replicas[0]?.pid),
    before,
    'a plan changes nothing',
  );
  assert.deepEqual(await runGateway(['reload', '--state-dir', gateway.stateDir]), { code: 0, stdout: changes, stderr: '' });
  gateway.signal('SIGTERM');
  await gateway.exited;
});

test('a model that is brought here says from where, and below which directory', () => {
  const reference = { kind: 's3', bucket: 'b', prefix: 'm', anonymous: true } as const;
  const source = { kind: 'remote', value: 's3://anonymous@b/m', reference, trustRemoteCode: false } as const;
  const brought = { ...replica('a', 0, { kind: 'none' }), source, files: '/cache/models/b-m-0123456789ab' };
  assert.match(
    launchText(launch([brought])),
    /^a on fake, model s3:\/\/anonymous@b\/m \(brought here before it starts, below \/cache\/models\/b-m-0123456789ab\)$/m,
  );
});
