import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { configText, fakeModel, runGateway, startGateway, tempDir } from '../support/gateway-process.ts';

const help = fileURLToPath(new URL('../fixtures/engines/vllm/help.txt', import.meta.url));

interface Installed {
  readonly dir: string;
  readonly command: string;
  /** Number of times the help was printed. */
  runs(): number;
}

/** A stand-in for vLLM that prints the help of a real one and cannot do more. Kept texts are the test's own. */
async function installEngine(t: TestContext, before = ''): Promise<Installed> {
  const dir = await tempDir(t);
  const command = join(dir, 'vllm');
  writeFileSync(command, `#!/bin/sh\ncase "$*" in *--help=all) ${before} echo run >> ${dir}/runs; cat ${help};; *) exit 1;; esac\n`);
  chmodSync(command, 0o755);
  const former = process.env['XDG_CACHE_HOME'];
  process.env['XDG_CACHE_HOME'] = join(dir, 'cache');
  t.after(() => {
    if (former === undefined) delete process.env['XDG_CACHE_HOME'];
    else process.env['XDG_CACHE_HOME'] = former;
  });
  return { dir, command, runs: () => readFileSync(join(dir, 'runs'), 'utf8').trim().split('\n').length };
}

const vllmModel = (options: object, gateway: object = {}): object => ({
  model_loading_config: { model_id: 'big' },
  engine_kwargs: options,
  gateway,
});

test('validate and start refuse an option that the installed engine does not know; its help is read once', async (t) => {
  const engine = await installEngine(t);
  const file = join(engine.dir, 'config.yaml');
  const write = (options: object, gateway = {}): void =>
    writeFileSync(
      file,
      configText(join(engine.dir, 'state'), [vllmModel(options, gateway)], { engines: { vllm: { command: engine.command } } }),
    );
  write({ max_modle_len: 4096 });
  const expected =
    /config\.yaml:1:\d+: llm_configs\[0\]\.engine_kwargs\.max_modle_len: no option of the installed vLLM; did you mean "max_model_len"\?/;
  for (const verb of ['validate', 'start']) {
    const { code, stderr } = await runGateway([verb, '-c', file]);
    assert.deepEqual([code, expected.test(stderr)], [4, true], stderr);
  }
  assert.equal(engine.runs(), 1);
  assert.equal(readdirSync(join(engine.dir, 'cache/roundhouse/engine-help')).length, 1);
  write({ max_modle_len: 4096 }, { unchecked_kwargs: true });
  const through = await runGateway(['validate', '-c', file]);
  assert.equal(through.code, 0);
  assert.match(through.stdout, /warning: .*no option of the installed vLLM.*let through by gateway\.unchecked_kwargs/);
  write({ max_model_len: 4096 });
  assert.deepEqual(await runGateway(['validate', '-c', file]), { code: 0, stdout: `${file} is valid.\n`, stderr: '' });
});

test('a reload with an option that the installed engine does not know changes nothing', async (t) => {
  const engine = await installEngine(t);
  const more = { engines: { vllm: { command: engine.command } } };
  const gateway = await startGateway(t, [fakeModel('a')], { more });
  await gateway.writeConfig([fakeModel('a'), vllmModel({ zebra: 1 })]);
  const reload = (): Promise<Response> =>
    fetch(`${gateway.adminUrl}/api/reload`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' });
  const refused = await reload();
  assert.equal(refused.status, 422);
  assert.match(await refused.text(), /llm_configs\[1\]\.engine_kwargs\.zebra: no option of the installed vLLM/);
  assert.deepEqual(
    (await gateway.status()).map(({ name }) => name),
    ['a'],
  );
  await gateway.writeConfig([fakeModel('a', { tokens: 5 })]);
  assert.equal((await reload()).status, 200);
});

test('a start does not wait for an engine that is slow to print its help, and tells what it says later', async (t) => {
  // The help comes once the test opens the other end of the pipe.
  const engine = await installEngine(t, 'cat "$0.go" >/dev/null;');
  execFileSync('mkfifo', [`${engine.command}.go`]);
  const more = { engines: { vllm: { command: engine.command } } };
  const gateway = await startGateway(t, [fakeModel('a'), vllmModel({ zebra: 1 })], { more, until: /Ready at/ });
  assert.doesNotMatch(gateway.output(), /zebra/);
  const told = gateway.printed(/warning: .*llm_configs\[1\]\.engine_kwargs\.zebra: no option of the installed vLLM/);
  const pipe = await open(`${engine.command}.go`, 'w');
  await pipe.close();
  await told;
  gateway.signal('SIGTERM');
  assert.equal((await gateway.exited).code, 0);
});

test('a stop does not wait for a help text either', async (t) => {
  const engine = await installEngine(t, 'cat "$0.go" >/dev/null;');
  execFileSync('mkfifo', [`${engine.command}.go`]);
  const more = { engines: { vllm: { command: engine.command } } };
  const gateway = await startGateway(t, [fakeModel('a'), vllmModel({ zebra: 1 })], { more });
  gateway.signal('SIGTERM');
  assert.equal((await gateway.exited).code, 0);
});
