import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Check } from '../../../src/cli/doctor/check.ts';
import type { DirectoryFact, EngineFact, Facts } from '../../../src/cli/doctor/facts.ts';
import { readOpenFiles } from '../../../src/cli/doctor/machine-facts.ts';
import { reportText } from '../../../src/cli/doctor/report.ts';
import { verdicts } from '../../../src/cli/doctor/verdicts.ts';

const gibibyte = 1_073_741_824;
const state: DirectoryFact = { purpose: 'state', path: '/s', mode: 0o700, writable: true, freeBytes: 50 * gibibyte };
const runs = (version: string | undefined): EngineFact['found'] => ({ kind: 'runs', path: '/bin/e', version, python: 'Python 3.12.3' });
const engine = (found: EngineFact['found'], needed = true): EngineFact => ({
  engine: 'e',
  command: 'e',
  needed,
  install: 'Install e.',
  floor: { version: '2.0', advisory: 'a hole (CVE-1)' },
  found,
});
const card = {
  id: 'GPU-1',
  vendor: 'nvidia',
  index: 0,
  busId: '0',
  name: 'NVIDIA L4',
  memoryBytes: 24 * gibibyte,
  usedBytes: 0,
  partition: false,
} as const;
const healthy: Facts = {
  node: { version: '24.21.0', oldest: '24' },
  config: { kind: 'valid', files: '/c.yaml', warnings: 0 },
  engines: [engine(runs('2.0'))],
  gpus: { kind: 'listed', devices: [card], lost: [], driver: '580.1' },
  gpuNeeds: [{ model: 'm', gpus: 1 }],
  openFiles: { soft: 20_000, hard: 20_000 },
  maxConnections: 4096,
  directories: [state, { ...state, purpose: 'cache', path: '/k', mode: 0o755 }],
  ports: [{ key: 'gateway.listen.port', address: '127.0.0.1:8000', use: { kind: 'free' } }],
  gateway: { kind: 'none' },
  proc: true,
};

const worst = (checks: readonly Check[]): readonly Check[] => checks.filter(({ level }) => level !== 'ok');

describe('a healthy machine', () => {
  it('has nothing but ok', () => assert.deepEqual(worst(verdicts(healthy)), []));
  it('is told line by line', () => {
    const text = reportText(verdicts(healthy), false);
    assert.match(text, /^ok {7}node: 24\.21\.0\nok {7}config: \/c\.yaml is valid\nok {7}engine e: 2\.0 \(\/bin\/e, Python 3\.12\.3\)\n/);
    assert.match(text, /\nok {7}gpus: NVIDIA L4 \(24 GiB\); driver 580\.1\n[\s\S]*\n\n0 failures, 0 warnings\.\n$/);
  });
});

const cases: readonly (readonly [
  what: string,
  change: Partial<Facts>,
  level: Check['level'],
  name: string,
  message: RegExp,
  remedy: RegExp,
])[] = [
  ['an old Node', { node: { version: '22.1.0', oldest: '24' } }, 'failure', 'node', /22\.1\.0; at least 24/, /Install Node\.js 24/],
  ['a bad config', { config: { kind: 'invalid', message: 'c:1:1: no' } }, 'failure', 'config', /^c:1:1: no$/, /Mend/],
  [
    'an engine that is missing',
    { engines: [engine({ kind: 'missing', message: 'e: not found on PATH (/bin). Install e.' })] },
    'failure',
    'engine e',
    /^e: not found on PATH \(\/bin\)\.$/,
    /^Install e\.$/,
  ],
  [
    'no engine at all',
    { engines: [engine({ kind: 'missing', message: 'x' }, false)] },
    'warning',
    'engines',
    /none is installed: e not on PATH/,
    /Install e\./,
  ],
  [
    'an engine whose Python went away',
    { engines: [engine({ kind: 'no-interpreter', path: '/v/bin/e', interpreter: '/v/bin/python' })] },
    'failure',
    'engine e',
    /\/v\/bin\/e is a script for \/v\/bin\/python/,
    /virtual environment/,
  ],
  [
    'an engine that does not run',
    { engines: [engine({ kind: 'broken', path: '/bin/e', message: 'exit code 1\nImportError' })] },
    'failure',
    'engine e',
    /exit code 1\nImportError/,
    /`e --help`/,
  ],
  [
    'an engine with known holes',
    { engines: [engine(runs('1.9'))] },
    'warning',
    'engine e',
    /1\.9 is older than 2\.0: a hole \(CVE-1\)/,
    /Upgrade it to 2\.0/,
  ],
  [
    'an engine of no version',
    { engines: [engine(runs(undefined))] },
    'warning',
    'engine e',
    /its version cannot be read/,
    /security fixes/,
  ],
  [
    'too few GPUs',
    {
      gpuNeeds: [
        { model: 'm', gpus: 1 },
        { model: 'big', gpus: 2 },
      ],
    },
    'failure',
    'gpus',
    /NVIDIA L4 .*; a replica of big needs 2/,
    /parallel sizes/,
  ],
  [
    'no GPU',
    { gpus: { kind: 'listed', devices: [], lost: [], driver: undefined } },
    'failure',
    'gpus',
    /none; a replica of m needs 1/,
    /driver/,
  ],
  [
    'a lost GPU',
    { gpus: { kind: 'listed', devices: [card], lost: [{ key: '00000000:3b:00.0', reason: 'GPU is lost' }], driver: undefined } },
    'warning',
    'gpus',
    /00000000:3b:00\.0: GPU is lost/,
    /reboot/,
  ],
  [
    'a broken driver',
    { gpus: { kind: 'broken', message: 'nvidia-smi ended with exit code 9' } },
    'failure',
    'gpus',
    /exit code 9/,
    /driver/,
  ],
  [
    'a low limit of open files',
    { openFiles: { soft: 1024, hard: Infinity } },
    'warning',
    'open files',
    /soft limit 1024, hard limit unlimited; 4096 connections .* 8704/,
    /ulimit -n 8704/,
  ],
  ['a limit that cannot be read', { openFiles: undefined }, 'warning', 'open files', /cannot be read/, /ulimit/],
  [
    'a state directory for all to read',
    { directories: [{ ...state, mode: 0o755 }] },
    'warning',
    'state directory',
    /open to other users \(mode 755\)/,
    /^chmod 700 \/s$/,
  ],
  [
    'a state directory of others',
    { directories: [{ ...state, writable: false }] },
    'failure',
    'state directory',
    /cannot be written/,
    /gateway\.state_dir/,
  ],
  ['a full disk', { directories: [{ ...state, freeBytes: 5_000_000 }] }, 'failure', 'state directory', /0\.0 GiB free/, /space/],
  [
    'little space for logs',
    { directories: [{ ...state, freeBytes: gibibyte / 2 }] },
    'warning',
    'state directory',
    /0\.5 GiB free/,
    /space/,
  ],
  [
    'little space for models',
    { directories: [{ ...state, purpose: 'cache', path: '/k', freeBytes: gibibyte }] },
    'warning',
    'cache directory',
    /1\.0 GiB free; downloaded models/,
    /space/,
  ],
  [
    'a taken port',
    { ports: [{ key: 'gateway.admin.port', address: 'a:1', use: { kind: 'problem', message: 'a:1 is in use' } }] },
    'failure',
    'port a:1',
    /in use/,
    /gateway\.admin\.port/,
  ],
  [
    'a gateway that hangs',
    { gateway: { kind: 'silent', message: 'Headers Timeout Error' } },
    'failure',
    'gateway',
    /does not answer/,
    /stop it/,
  ],
  ['no /proc', { proc: false }, 'warning', '/proc', /not there/, /Linux/],
];

describe('the doctor', () => {
  for (const [what, change, level, name, message, remedy] of cases) {
    it(`tells of ${what}, and of nothing else`, () => {
      const found = worst(verdicts({ ...healthy, ...change }));
      assert.equal(found.length, 1, JSON.stringify(found));
      assert.deepEqual([found[0]?.level, found[0]?.name], [level, name]);
      assert.match(found[0]?.message ?? '', message);
      assert.match(found[0]?.remedy ?? '', remedy);
    });
  }

  it('takes a running gateway and its ports for healthy', () => {
    const ports = [{ key: 'gateway.listen.port', address: 'a:1', use: { kind: 'ours' } }] as const;
    const checks = verdicts({ ...healthy, ports, gateway: { kind: 'running', pid: 7, config: '/c.yaml' } });
    assert.deepEqual(worst(checks), []);
    assert.match(reportText(checks, false), /gateway: runs already, pid 7[\s\S]*port a:1: the running gateway listens there/);
  });

  it('lists only engines that are there when nothing was asked for', () => {
    const checks = verdicts({
      ...healthy,
      engines: [engine(runs('2.0'), false), { ...engine({ kind: 'missing', message: 'x' }, false), engine: 'f' }],
    });
    assert.deepEqual(
      checks.filter(({ name }) => name.startsWith('engine')).map(({ name }) => name),
      ['engine e'],
    );
  });

  it('shows levels in colour, and no control characters of an engine', () => {
    const text = reportText([{ name: 'x', level: 'failure', message: 'a\u001B[2Jb', remedy: 'c' }], true);
    assert.equal(text, '\u001B[31mfailure\u001B[39m  x: a[2Jb\n         → c\n\n1 failure, 0 warnings.\n');
  });
});

describe('the limit of open files', () => {
  it('is read from /proc', () => {
    assert.deepEqual(
      readOpenFiles('Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 unlimited            files \n'),
      {
        soft: 1024,
        hard: Infinity,
      },
    );
    assert.equal(readOpenFiles(''), undefined);
  });
});
