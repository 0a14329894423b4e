import type { Command } from 'commander';
import { z } from 'zod';
import { keyNotes } from '../config/fields.ts';
import { fileSchema } from '../config/schema.ts';
import { exitCode } from './exit-code.ts';
import { type OutputOptions, print, type Run, withOutput } from './verb.ts';

/** The part of a JSON Schema node that is changed here. */
type Node = z.core.JSONSchema.BaseSchema;

/** Where a variable may stand in place of a number, a word or true/false. */
const variable: Node = { type: 'string', pattern: '\\$\\{' };

/**
 * The config file's JSON Schema (draft-07), for editors: a text that ends in a newline. Rules that concern more than one value are
 * left to `validate`.
 */
export function schemaText(): string {
  return `${JSON.stringify(configSchema(), undefined, 2)}\n`;
}

function configSchema(): object {
  const schema = z.toJSONSchema(fileSchema, {
    target: 'draft-7',
    io: 'input',
    unrepresentable: 'any',
    reused: 'ref',
    override: ({ zodSchema, jsonSchema }) => amend(zodSchema, jsonSchema),
  });
  return { ...schema, title: 'Roundhouse config' };
}

function amend(schema: z.core.$ZodType, node: Node): void {
  const note = keyNotes.get(schema);
  if (note !== undefined) node.description = note.message;
  if (note?.kind === 'refused') node.not = {};
  if (schema instanceof z.ZodArray) amendList(schema, node);
  if (schema instanceof z.ZodNumber || schema instanceof z.ZodBoolean || schema instanceof z.ZodEnum) allow(node, variable);
  // A key with nothing after it counts as not written.
  if (schema instanceof z.ZodObject || schema instanceof z.ZodRecord) allow(node, { type: 'null' });
}

/** A model may be the path of a file with it; those are read before the schema is applied. */
function amendList(schema: z.ZodArray, node: Node): void {
  const inner = schema.element;
  const ofModels = inner instanceof z.ZodObject && Object.hasOwn(inner.shape, 'model_loading_config');
  if (ofModels && node.items !== undefined) node.items = { anyOf: [node.items as Node, { type: 'string' }] };
}

function allow(node: Node, also: Node): void {
  const own = { ...node };
  for (const key of Object.keys(node)) Reflect.deleteProperty(node, key);
  node.anyOf = [own, also];
}

export function addSchema(program: Command, run: Run): void {
  const command = program
    .command('schema')
    .description('print the JSON Schema of the config file (draft-07)')
    .addHelpText('after', '\nExample:\n  gateway schema > schema.json');
  withOutput(command).action((output: OutputOptions) =>
    run(async () => {
      print(output, configSchema(), schemaText);
      return exitCode.ok;
    }),
  );
}
