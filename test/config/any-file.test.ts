import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { stringify } from 'yaml';
import { loadConfig } from '../../src/config/load.ts';
import { ConfigError } from '../../src/config/problems.ts';
import { deps, temporaryFolder } from './load-text.ts';

const keys = [
  'llm_configs',
  'applications',
  'args',
  'gateway',
  'model_loading_config',
  'model_id',
  'model_source',
  'llm_engine',
  'engine_kwargs',
  'deployment_config',
  'num_replicas',
  'autoscaling_config',
  'runtime_env',
  'env_vars',
  'listen',
  'port',
  'host',
  'timeouts',
  'queue_s',
  'engines',
  'fake',
  'command',
  'http_options',
  'name',
  'route_prefix',
  'lora_config',
  'tokens',
  '__proto__',
  'constructor',
  '<<',
];
const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { maxDepth: 6, depthSize: 'medium' },
    { weight: 3, arbitrary: tie('leaf') },
    { weight: 4, arbitrary: tie('mapping') },
    { weight: 2, arbitrary: tie('list') },
  ),
  leaf: fc.oneof(
    fc.constantFrom('fake', 'm', '/', '${X}', '${N}', 'auto', './x', '', 's3://a/b', 'yes'),
    fc.integer(),
    fc.double(),
    fc.boolean(),
    fc.constant(null),
    fc.string(),
  ),
  mapping: fc.array(fc.tuple(fc.constantFrom(...keys), tie('tree')), { maxLength: 6 }).map((entries) => Object.fromEntries(entries)),
  list: fc.array(tie('tree'), { maxLength: 4 }),
}));
const root = fc
  .tuple(fc.constantFrom('llm_configs', 'applications', 'gateway', 'http_options'), tree, tree)
  .map(([key, value, models]) => ({ llm_configs: models, [key]: value }));
const syntax = fc
  .array(
    fc.constantFrom(
      'a',
      ': ',
      '- ',
      '\n',
      '  ',
      '[',
      ']',
      '{',
      '}',
      ',',
      '&a ',
      '*a',
      '!!x ',
      '"',
      "'",
      '#',
      '|\n',
      '<<',
      '---\n',
      '...\n',
      '${X}',
      '%YAML 1.1\n',
      '? ',
      '\t',
      '\0',
      '@',
      'ü',
    ),
    { maxLength: 40 },
  )
  .map((parts) => parts.join(''));

describe('whatever stands in a config file', () => {
  for (const [name, content] of [
    ['values in the shape of a config', root.map((value) => stringify(value))],
    ['pieces of YAML', syntax],
    ['text', fc.string({ unit: 'grapheme', maxLength: 200 })],
    ['bytes', fc.uint8Array({ maxLength: 100 })],
  ] as const) {
    it(`it is loaded or refused with places inside the file: ${name}`, (t) => {
      const file = join(temporaryFolder(t), 'config.yaml');
      fc.assert(
        fc.property(content as fc.Arbitrary<string | Uint8Array>, (written) => {
          writeFileSync(file, written);
          try {
            loadConfig(file, { ...deps, env: { N: '3' } });
          } catch (error) {
            assert.ok(error instanceof ConfigError, error instanceof Error ? error.stack : String(error));
            assert.ok(error.problems.length > 0);
            const lines = Buffer.from(written).toString().split('\n').length;
            for (const problem of error.problems) {
              assert.ok(problem.line >= 1 && problem.line <= lines, JSON.stringify(problem));
              assert.ok(problem.column >= 1 && problem.message !== '' && !problem.message.includes('\n'), JSON.stringify(problem));
            }
          }
        }),
        { numRuns: 300 },
      );
    });
  }
});
