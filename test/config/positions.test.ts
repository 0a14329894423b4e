import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { positionOf, type Spot } from '../../src/config/positions.ts';
import type { ConfigPath } from '../../src/config/problems.ts';
import { parseYaml } from '../../src/config/yaml-document.ts';

const { source } = parseYaml(
  `a:
  b: [1, {c: 2}]
  empty:
base: &base
  k: 3
alias: *base
merged:
  <<: *base
`,
  'x.yaml',
);

describe('the place of a path', () => {
  for (const [path, spot, place] of [
    [[], 'value', '1:1'],
    [['a'], 'key', '1:1'],
    [['a'], 'value', '2:3'],
    [['a', 'b', 1, 'c'], 'key', '2:11'],
    [['a', 'b', 1, 'c'], 'value', '2:14'],
    [['a', 'b', 0], 'key', '2:7'],
    [['a', 'empty'], 'value', '3:3'],
    [['alias'], 'value', '6:8'],
    [['alias', 'k'], 'value', '5:6'],
    [['merged', 'k'], 'key', '5:3'],
    [['a', 'none'], 'value', '2:3'],
    [['a', 'none'], 'key', '2:3'],
    [['a', 'b', 7, 'c'], 'value', '2:6'],
    [['none', 'deeper'], 'value', '1:1'],
  ] as const satisfies readonly (readonly [ConfigPath, Spot, string])[]) {
    it(`${JSON.stringify(path)} (${spot}) is ${place}`, () => {
      const { file, line, column } = positionOf(source, path, spot);
      assert.equal(`${file}:${line}:${column}`, `x.yaml:${place}`);
    });
  }
});
