import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import { accepted, checkOptions, checkOptionsWithin, type OptionFindings } from '../../src/app/option-check.ts';
import { ConfigError } from '../../src/config/problems.ts';
import { engines } from '../../src/plugins/registry.ts';
import type { EngineHelp, HelpAnswer, HelpRequest } from '../../src/supervisor/engine-help.ts';
import { loadText } from '../config/load-text.ts';
import { ManualClock } from '../support/manual-clock.ts';

const never = new AbortController().signal;
const vllmHelp = readFileSync(new URL('../fixtures/engines/vllm/help.txt', import.meta.url), 'utf8');
const printed = (text: string, unkept?: string): HelpAnswer => ({
  kind: 'text',
  text,
  readAt: 0,
  ...(unkept === undefined ? {} : { unkept }),
});
const none = (): never => assert.fail('nothing is late');

/** Answers every question for help, and notes what was asked. */
class Help implements Pick<EngineHelp, 'read'> {
  readonly asked: { readonly command: readonly string[]; readonly maxAgeMs: number | undefined }[] = [];
  readonly #answers: readonly HelpAnswer[];

  /** @param answers one after the other; the last one from then on */
  constructor(...answers: readonly HelpAnswer[]) {
    this.#answers = answers;
  }

  read({ command }: HelpRequest, _signal: AbortSignal, maxAgeMs?: number): Promise<HelpAnswer> {
    this.asked.push({ command, maxAgeMs });
    return Promise.resolve(this.#answers[Math.min(this.asked.length, this.#answers.length) - 1] ?? assert.fail('no answer'));
  }
}

const model = (id: string, more: string): string => `  - model_loading_config: {model_id: ${id}}\n${more}`;
const file = (...entries: string[]): string => `llm_configs:\n${entries.join('')}`;

function check(t: TestContext, text: string, help: Help): Promise<OptionFindings> {
  return checkOptions(loadText(t, text, { engines }), { engines, help }, never);
}

const lines = (problems: OptionFindings['problems']): string[] =>
  problems.map(({ line, column, path, message }) => `${line}:${column} ${path}: ${message}`);

describe('the options of a config, against the installed engines', () => {
  it('are told with their place and the likely name where the engine does not know them', async (t) => {
    const text = file(
      model('a', '    engine_kwargs:\n      max_model_len: 1\n      max_modle_len: 2\n'),
      model('b', '    engine_kwargs: {zebra: 1}\n'),
    );
    const found = await check(t, text, new Help(printed(vllmHelp)));
    assert.deepEqual(lines(found.problems), [
      '5:7 llm_configs[0].engine_kwargs.max_modle_len: no option of the installed vLLM; did you mean "max_model_len"? (gateway.unchecked_kwargs: true would let it through)',
      '7:21 llm_configs[1].engine_kwargs.zebra: no option of the installed vLLM (gateway.unchecked_kwargs: true would let it through)',
    ]);
    assert.deepEqual(found.notes, []);
    assert.throws(() => accepted(found), ConfigError);
  });

  it('are let through with a note where the config says so', async (t) => {
    const text = file(model('a', '    engine_kwargs: {zebra: 1}\n    gateway: {unchecked_kwargs: true}\n'));
    const found = await check(t, text, new Help(printed(vllmHelp)));
    assert.deepEqual(found.problems, []);
    assert.deepEqual(lines(accepted(found)), [
      '3:21 llm_configs[0].engine_kwargs.zebra: no option of the installed vLLM (let through by gateway.unchecked_kwargs)',
    ]);
  });

  for (const [name, answer, note] of [
    [
      'the engine is not installed',
      { kind: 'unread', reason: 'vllm: not found' },
      'not checked against the installed engine: vllm: not found',
    ],
    [
      'its help is something else',
      printed('Traceback (most recent call last):'),
      'not checked against the installed engine: what it prints for its help cannot be read',
    ],
  ] as const) {
    it(`are let through with one note for all models of an engine where ${name}`, async (t) => {
      const text = file(model('a', '    engine_kwargs: {zebra: 1}\n'), model('b', '    engine_kwargs: {bogus: 1}\n'));
      assert.deepEqual(await check(t, text, new Help(answer)).then(({ problems, notes }) => [lines(problems), lines(notes)]), [
        [],
        [`3:5 llm_configs[0].engine_kwargs: ${note}`],
      ]);
    });
  }

  it('are checked though the help could not be kept, which is said', async (t) => {
    const found = await check(t, file(model('a', '    engine_kwargs: {zebra: 1}\n')), new Help(printed(vllmHelp, 'disk full')));
    assert.equal(found.problems.length, 1);
    assert.match(lines(found.notes)[0] ?? '', /could not be kept, so it is read each time: disk full$/);
  });

  it('are never refused on the word of an old copy', async (t) => {
    const text = file(model('a', '    engine_kwargs: {zebra: 1}\n'));
    const help = new Help(printed(vllmHelp), printed(`${vllmHelp}\n  --zebra ZEBRA         New.\n`));
    assert.deepEqual(await check(t, text, help), { problems: [], notes: [] });
    assert.deepEqual(
      help.asked.map(({ maxAgeMs }) => maxAgeMs),
      [undefined, 600_000],
    );
  });

  it('need the help of each program once', async (t) => {
    const text = file(
      model('a', '    engine_kwargs: {seed: 1}\n'),
      model('b', '    engine_kwargs: {seed: 2}\n'),
      model('c', '    engine_kwargs: {seed: 2}\n    gateway: {command: /opt/other/vllm}\n'),
    );
    const help = new Help(printed(vllmHelp));
    await check(t, `${text}gateway: {engines: {vllm: {command: [/opt/vllm, -x]}}}\n`, help);
    assert.deepEqual(
      help.asked.map(({ command }) => command),
      [['/opt/vllm', '-x'], ['/opt/other/vllm']],
    );
  });

  it('need none where there is nothing to check: no options, an engine run by others, one without a help text', async (t) => {
    const help = new Help(printed(''));
    const text = file(
      model('a', ''),
      model('b', '    engine_kwargs: {zebra: 1}\n    gateway: {upstreams: [{url: "http://127.0.0.1:1"}]}\n'),
      model('c', '    llm_engine: fake\n    engine_kwargs: {tokens: 5}\n'),
    );
    assert.deepEqual(await check(t, text, help), { problems: [], notes: [] });
    assert.deepEqual(help.asked, []);
  });

  it('are checked in little time, however many models there are', async (t) => {
    const entries = Array.from({ length: 1000 }, (_, at) => model(`m${at}`, `    engine_kwargs: {seed: ${at}, max_model_len: 4096}\n`));
    const help = new Help(printed(vllmHelp));
    assert.deepEqual(await check(t, file(...entries), help), { problems: [], notes: [] });
    assert.equal(help.asked.length, 1);
  });
});

describe('a check that may not take long', () => {
  const problem = { file: 'a.yaml', line: 1, column: 1, path: 'x', message: 'unknown' };

  it('throws what was found in time', async () => {
    const clock = new ManualClock();
    const limit = { ms: 2000, clock };
    await assert.rejects(checkOptionsWithin(limit, Promise.resolve({ problems: [problem], notes: [] }), none), { code: 'config_invalid' });
    assert.deepEqual(await checkOptionsWithin(limit, Promise.resolve({ problems: [], notes: [problem] }), none), [problem]);
  });

  it('hands on what is found later', async () => {
    const clock = new ManualClock();
    const slow = Promise.withResolvers<OptionFindings>();
    const late = Promise.withResolvers<OptionFindings>();
    const checking = checkOptionsWithin({ ms: 2000, clock }, slow.promise, (findings) => late.resolve(findings));
    await clock.advance(2000);
    assert.deepEqual(await checking, []);
    slow.resolve({ problems: [problem], notes: [] });
    assert.deepEqual(await late.promise, { problems: [problem], notes: [] });
  });

  it('is told nothing once nobody wants to know', async () => {
    const clock = new ManualClock();
    const slow = Promise.withResolvers<OptionFindings>();
    const checking = checkOptionsWithin({ ms: 1, clock }, slow.promise, () => assert.fail('nothing is told'));
    await clock.advance(1);
    assert.deepEqual(await checking, []);
    slow.reject(new Error('stopping'));
    await assert.rejects(slow.promise);
  });
});
