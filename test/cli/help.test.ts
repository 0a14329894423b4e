import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { commandLine } from '../../src/cli/command-line.ts';
import { helpOf, program, verbsOf } from '../support/command-line.ts';

const verbs = verbsOf(await program());

describe('every verb', () => {
  it('is found here', () => {
    const names = verbs.map(({ name }) => name);
    for (const name of ['start', 'status', 'init', 'import', 'import ray', 'version']) assert.ok(names.includes(name), name);
  });

  for (const { name, command } of verbs) {
    it(`${name} has a description, and an example in its --help`, () => {
      const help = helpOf(command);
      assert.notEqual(command.description(), '');
      assert.match(help, new RegExp(`\\nExamples?:\\n(?: {2}.*\\n)*? {2}.*gateway ${name}(?: |\\n)`), help);
    });

    // A command of commands has no answer of its own.
    if (command.commands.length === 0)
      it(`${name} can answer in JSON, and with nothing but errors`, () => {
        const options = command.options.map(({ long }) => long);
        for (const option of ['--json', '--quiet']) assert.ok(options.includes(option), option);
      });

    it(`${name} says what each option and argument is`, () => {
      for (const option of command.options) assert.notEqual(option.description, '', option.flags);
      for (const argument of command.registeredArguments) assert.notEqual(argument.description, '', argument.name());
    });
  }
});

const action = (): Promise<void> => Promise.resolve();

const namesOf = async (word: string): Promise<readonly string[]> =>
  (await commandLine(action, word)).commands.flatMap((command) => [command.name(), ...command.aliases()]);

describe('the first word of a command line', () => {
  const own = ['start', 'run', 'version'];

  it('has its verb alone, and what is always there', async () => {
    const whole = await program();
    for (const command of whole.commands)
      for (const word of [command.name(), ...command.aliases()]) {
        const names = await namesOf(word);
        assert.ok(names.includes(word), word);
        if (own.includes(word)) assert.deepEqual(names, own);
        else if (word !== 'completion') assert.ok(names.length <= own.length + 2, `${word} brings ${names.join(', ')}`);
      }
  });

  it('has all where it means none, or writes of all', async () => {
    const all = (await program()).commands.length;
    for (const word of ['nonsense', '--help', 'completion', 'help'])
      assert.equal((await commandLine(action, word)).commands.length, all, word);
  });

  it('has none for the version', async () => {
    for (const word of ['--version', '-V']) assert.deepEqual(await namesOf(word), own);
  });
});
