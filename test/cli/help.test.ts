import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { helpOf, program, verbsOf } from '../support/command-line.ts';

const verbs = verbsOf(program());

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
