import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { describe, it } from 'node:test';

const src = join(import.meta.dirname, '../src');

/** Imports go down this list; folders of one line never import each other. */
const layers: readonly (readonly string[])[] = [
  ['core'],
  ['plugins', 'models'],
  ['config'],
  ['gateway', 'supervisor', 'autoscale'],
  ['admin'],
  ['app', 'conformance'],
  ['cli', 'builder'],
  ['main.ts', 'index.ts'],
];

const sources = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => ({ file: file.split(sep).join('/'), text: readFileSync(join(src, file), 'utf8') }));

const withoutComments = (text: string): string => text.replaceAll(/\/\*[\s\S]*?\*\/|(?<![:'"`\\])\/\/.*/g, '');

/** Paths below src that a file imports, statically or not. */
function importsOf(file: string, text: string): string[] {
  const specifiers = [...text.matchAll(/(?:\bfrom|\bimport|\bimport\(|new URL\()\s*'(\.[^']+)'/g)].map(([, specifier = '']) => specifier);
  return specifiers.map((specifier) =>
    relative(src, join(src, dirname(file), specifier))
      .split(sep)
      .join('/'),
  );
}

function layerOf(file: string): number {
  const folder = file.split('/')[0] ?? '';
  return layers.findIndex((names) => names.includes(folder));
}

/** Why `file` may not import `imported`; undefined where it may. */
function forbidden(file: string, imported: string): string | undefined {
  if (imported.startsWith('..')) return 'is outside src';
  if (layerOf(imported) === -1) return 'is in no layer';
  if (file.split('/')[0] === imported.split('/')[0]) return undefined;
  return layerOf(imported) < layerOf(file) ? undefined : 'is not in a layer below';
}

const registries: ReadonlySet<string> = new Set(['plugins/registry.ts', 'plugins/dialects.ts']);

/** An engine's own folder is known to the registries alone. */
function reachesIntoEngine(file: string, imported: string): boolean {
  const engine = /^plugins\/([^/]+)\//.exec(imported)?.[1];
  return engine !== undefined && !registries.has(file) && !file.startsWith(`plugins/${engine}/`);
}

describe('the source', () => {
  it('is all in one of the layers', () => {
    assert.ok(sources.length > 20);
    assert.deepEqual(
      sources.filter(({ file }) => layerOf(file) === -1),
      [],
    );
  });

  it('imports only from layers below', () => {
    const found = sources.flatMap(({ file, text }) =>
      importsOf(file, text).flatMap((imported) => {
        const reason = forbidden(file, imported);
        return reason === undefined ? [] : [`${file} imports ${imported}, which ${reason}`];
      }),
    );
    assert.deepEqual(found, []);
  });

  it('reaches into the folder of an engine only from the registry', () => {
    const found = sources.flatMap(({ file, text }) => importsOf(file, text).filter((imported) => reachesIntoEngine(file, imported)));
    assert.deepEqual(found, []);
  });

  it('names engines only in src/plugins and src/config', () => {
    const naming = sources.filter(
      ({ file, text }) => !/^(?:plugins|config)\//.test(file) && /vllm|sglang|llama(?![-_ ]?swap)/i.test(withoutComments(text)),
    );
    assert.deepEqual(
      naming.map(({ file }) => file),
      [],
    );
  });
});

describe('the rules for the source', () => {
  it('see every kind of import', () => {
    const text =
      "import a from './a.ts';\nimport './b.ts';\nexport { c } from '../core/c.ts';\nawait import('./d.ts');\nnew URL('./e.ts', import.meta.url);\nimport type { F } from 'node:fs';\n";
    assert.deepEqual(importsOf('gateway/x.ts', text), ['gateway/a.ts', 'gateway/b.ts', 'core/c.ts', 'gateway/d.ts', 'gateway/e.ts']);
  });
  for (const [file, imported, allowed] of [
    ['gateway/a.ts', 'core/b.ts', true],
    ['gateway/a.ts', 'gateway/openai/b.ts', true],
    ['gateway/a.ts', 'supervisor/b.ts', false],
    ['supervisor/a.ts', 'gateway/b.ts', false],
    ['core/a.ts', 'config/b.ts', false],
    ['plugins/a.ts', 'config/b.ts', false],
    ['config/a.ts', 'plugins/b.ts', true],
    ['main.ts', 'cli/start.ts', true],
    ['cli/start.ts', 'main.ts', false],
    ['main.ts', '../test/a.ts', false],
    ['main.ts', 'elsewhere/a.ts', false],
  ] as const) {
    it(`${allowed ? 'let' : 'do not let'} ${file} import ${imported}`, () =>
      assert.equal(forbidden(file, imported) === undefined, allowed));
  }
  it('keep the rest out of an engine', () => {
    assert.ok(reachesIntoEngine('gateway/a.ts', 'plugins/fake/index.ts'));
    assert.ok(reachesIntoEngine('plugins/fake/a.ts', 'plugins/llamacpp/index.ts'));
    assert.ok(!reachesIntoEngine('plugins/registry.ts', 'plugins/fake/index.ts'));
    assert.ok(!reachesIntoEngine('plugins/fake/a.ts', 'plugins/fake/b.ts'));
    assert.ok(!reachesIntoEngine('gateway/a.ts', 'plugins/registry.ts'));
  });
  it('look at code, not at comments', () => {
    assert.equal(withoutComments("a /* b\nc */ d // e\n'http://f'").trim(), "a  d \n'http://f'");
  });
});
