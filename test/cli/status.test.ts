import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, it, test } from 'node:test';
import type { StatusReply } from '../../src/admin/api.ts';
import { page, sizeOf } from '../../src/cli/live-view.ts';
import { statusTable } from '../../src/cli/status-table.ts';
import { fakeModel, runGateway, startGateway } from '../support/gateway-process.ts';
import { atTerminal, controlC, skipTerminal } from '../support/terminal.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

const ready = { index: 0, state: 'ready', phase: 'ready', since: 0, readySince: 0, gpus: ['0', '1'], restarts: 2, inFlight: 3 };
const loading = { index: 1, state: 'starting', phase: 'loading model', since: 4000, etaMs: 20_000, gpus: ['2'], restarts: 1, inFlight: 0 };
const failed = { index: 2, state: 'failed', phase: 'failed', since: 0, gpus: [], restarts: 0, inFlight: 0 };
const status = {
  pid: 1,
  config: ['/a.yaml', '/b.yaml'],
  now: 9000,
  gpus: [],
  models: [
    {
      name: 'm',
      engine: 'fake',
      waiting: 4,
      status: { phase: 'ready' },
      replicas: [
        { ...ready, pid: 7, version: '1.2', upstream: 'http://127.0.0.1:20001' },
        { ...loading, pid: 8, upstream: 'https://other.example/x' },
        { ...failed, lastError: { code: 'start_failed', message: 'bad \u001B[31mmodel\nno such file' } },
      ],
    },
  ],
} as unknown as StatusReply;

const heads = (width: number): string => statusTable(status, width).split('\n')[2] ?? '';

describe('the table of a status', () => {
  it('tells all of a replica', () => {
    assert.deepEqual(statusTable(status).split('\n'), [
      'gateway 1, /a.yaml, /b.yaml',
      '',
      'MODEL  REPLICA  STATE     PHASE                               GPUS  PORT   PID  IN FLIGHT  WAITING  RESTARTS  UPTIME  LAST ERROR    ENGINE',
      'm      #0       ready     -                                   0,1   20001  7    3          4        2         9 s     -             fake 1.2',
      'm      #1       starting  loading model 5 s, about 20 s left  2     443    8    0          4        1         -       -             fake',
      'm      #2       failed    -                                   -     -      -    0          4        0         -       start_failed  fake',
      '',
      'm #2: bad [31mmodel',
      'no such file',
      '',
    ]);
  });

  it('tells who holds which GPU, what a pending replica waits for, and what is out of use', () => {
    const card = { partition: false, name: 'NVIDIA H100', memoryBytes: 1, usedBytes: 0, holders: [], quarantined: undefined };
    const gpus = [
      { ...card, id: 'GPU-a', index: 0, holders: ['m-0', 'n-0'] },
      { ...card, id: 'GPU-b', index: 1 },
      { ...card, id: 'MIG-c', index: 2, partition: true, holders: ['o-0'] },
      { ...card, id: 'GPU-d', index: 3, holders: ['p-0'], quarantined: 'GPU is lost' },
    ];
    const waits = {
      index: 0,
      state: 'pending',
      phase: 'waiting for a GPU: 0 held by m-0 + n-0',
      since: 0,
      gpus: [],
      restarts: 0,
      inFlight: 0,
    };
    const models = [{ name: 'q', engine: 'fake', waiting: 1, status: { phase: waits.phase }, replicas: [waits] }];
    const text = statusTable({ ...status, gpus, models } as unknown as StatusReply);
    assert.match(text, /^q +#0 +pending +waiting for a GPU: 0 held by m-0 \+ n-0 /mu);
    assert.deepEqual(
      text.split('\n').filter((line) => /^(?:GPU|MIG)/u.test(line)),
      [
        'GPU 0  NVIDIA H100  held by m-0, n-0',
        'GPU 1  NVIDIA H100  free',
        'MIG-c  NVIDIA H100  held by o-0',
        'GPU 3  NVIDIA H100  quarantined: GPU is lost',
      ],
    );
  });

  it('leaves out what a terminal has no room for, and never the model', () => {
    assert.match(heads(120), /^MODEL .* PID .* RESTARTS {2}UPTIME$/);
    assert.match(heads(80), /^MODEL +REPLICA +STATE +PHASE +IN FLIGHT +WAITING$/);
    assert.match(heads(30), /^MODEL +REPLICA +STATE$/);
    assert.equal(heads(1), 'MODEL');
    for (let width = 20; width < 140; width += 1)
      for (const line of statusTable(status, width).split('\n').slice(2, 6)) assert.ok(line.length <= width, `${width}: ${line}`);
  });
});

describe('a page that stays in place', () => {
  it('is cut to the terminal, and ends what was there before', () => {
    assert.equal(page('ab\nabcde\n', { columns: 4, rows: 5 }), '\u001B[Hab\u001B[K\nabc…\u001B[K\u001B[J');
    assert.equal(page('1\n2\n3\n4\n', { columns: 20, rows: 3 }), '\u001B[H1\u001B[K\n2\u001B[K\n… 2 more lines\u001B[K\u001B[J');
  });
});

test('a terminal that does not know its size is taken for one of 80 × 24', () => {
  assert.deepEqual(sizeOf({ columns: 0, rows: 0 }), { columns: 80, rows: 24 });
  assert.deepEqual(sizeOf({ columns: 132, rows: 50 }), { columns: 132, rows: 50 });
});

describe('gateway status --watch', () => {
  it('on a pipe prints table after table until Ctrl-C, and with --json a line each; ends when nobody reads', async (t) => {
    const { stateDir } = await startGateway(t, [fakeModel('m')]);
    const watch = (...args: readonly string[]) => {
      const child = spawn(process.execPath, [main, 'status', '--watch', '--state-dir', stateDir, ...args], {
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      t.after(() => child.kill('SIGKILL'));
      let seen = '';
      child.stdout.setEncoding('utf8').on('data', (part: string) => (seen += part));
      const shows = async (pattern: RegExp): Promise<void> => {
        while (!pattern.test(seen)) await once(child.stdout, 'data');
      };
      return { child, shows, exited: once(child, 'exit').then(([code]) => code as number | null) };
    };
    const [plain, json, unread] = [watch(), watch('--json'), watch()];
    await Promise.all([plain.shows(/#0 +ready[\s\S]*\n\ngateway \d+/), json.shows(/^\{.*\}\n\{.*\}\n$/), unread.shows(/#0/)]);
    unread.child.stdout.destroy();
    assert.equal(await unread.exited, 0);
    await runGateway(['scale', 'm', '2', '--state-dir', stateDir]);
    await plain.shows(/#1/);
    for (const { child, exited } of [plain, json]) {
      child.kill('SIGINT');
      assert.equal(await exited, 0);
    }
  });

  it('on a terminal keeps the table in place, and gives the terminal back', { skip: skipTerminal }, async (t) => {
    const gateway = await startGateway(t, [fakeModel('m')]);
    const env = { PATH: process.env['PATH'] ?? '', HOME: gateway.stateDir, TERM: 'xterm' };
    const watch = () =>
      atTerminal(t, [process.execPath, main, 'status', '--watch', '--state-dir', gateway.stateDir], { cwd: gateway.stateDir, env });
    const [left, bereft] = [watch(), watch()];
    await Promise.all([left.shows(/#0 +ready/), bereft.shows(/#0 +ready/)]);
    await left.shows(/#0 +ready/);
    left.press(controlC);
    assert.equal(await left.exited, 0, left.page());
    gateway.signal('SIGTERM');
    assert.equal(await bereft.exited, 1);
    assert.match(bereft.page(), /No gateway answers/);
    for (const terminal of [left, bereft]) {
      assert.ok(terminal.raw().includes('\u001B[?1049h'));
      assert.ok(terminal.raw().indexOf('\u001B[?1049l') > terminal.raw().lastIndexOf('\u001B[H'));
    }
  });
});
