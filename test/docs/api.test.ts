import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { adminDocument, adminRoutes } from '../../src/admin/openapi.ts';
import { defaultInputLimits, limitKey } from '../../src/core/input-limits.ts';
import type { Parameter } from '../../src/core/parameter.ts';
import type { Operation } from '../../src/core/request.ts';
import { parameters } from '../../src/gateway/input/parameters.ts';
import { dataDocument, enginesOf, modelCodes, operationCodes } from '../../src/gateway/openapi/document.ts';
import { operationNames, operations } from '../../src/gateway/operations.ts';
import * as llamacpp from '../../src/plugins/llamacpp/parameters.ts';
import * as sglang from '../../src/plugins/sglang/parameters.ts';
import * as vllm from '../../src/plugins/vllm/parameters.ts';

const inDocs = (name: string): string => fileURLToPath(new URL(`../../docs/${name}`, import.meta.url));
const update = process.env['UPDATE_DOCS'] === '1';
const renew = 'run UPDATE_DOCS=1 node --test test/docs/api.test.ts';

for (const [name, document] of [
  ['openapi.json', dataDocument],
  ['openapi-admin.json', adminDocument],
] as const) {
  test(`docs/${name} is the document that is served`, async () => {
    // As it is read: members without a value are not written.
    const now: unknown = JSON.parse(JSON.stringify(document()));
    if (update) await writeFile(inDocs(name), `${JSON.stringify(now, undefined, 2)}\n`);
    assert.deepEqual(JSON.parse(await readFile(inDocs(name), 'utf8')), now, renew);
  });
}

const mark = '<!-- From here on written from the program: UPDATE_DOCS=1 node --test test/docs/api.test.ts -->';
const ours = { vLLM: vllm, SGLang: sglang, 'llama-server': llamacpp } as const;
const isGeneration = (operation: Operation): boolean => operation === 'chat' || operation === 'completions';
const code = (words: Iterable<string>): string => [...words].map((word) => `\`${word}\``).join(', ');
const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

function limitOf({ rule }: Parameter): string {
  if (rule?.kind === 'at-most') return `${rule.least} to \`${limitKey(rule.limit)}\` (${defaultInputLimits[rule.limit]})`;
  if (rule?.kind === 'items') return `\`${limitKey(rule.limit)}\` items (${defaultInputLimits[rule.limit]})`;
  if (rule?.kind === 'tools') return `\`max_tools\` (${defaultInputLimits.maxTools})`;
  return rule === undefined ? '' : 'what is in it';
}

/** Engines that cannot honour a parameter of chat or completions: it is left out, as `unsupported_params` says. */
function leftOutBy(operation: Operation, name: string): string {
  if (!isGeneration(operation)) return '';
  return Object.entries(ours)
    .flatMap(([engine, { unsupported }]) => ((unsupported as readonly string[]).includes(name) ? engine : []))
    .join(', ');
}

function parametersOf(operation: Operation): string {
  const rows = [...parameters[operation]].filter(([, { rule }]) => rule?.kind !== 'refused');
  const { required } = operations[operation];
  const needed = required.map((oneOf) => oneOf.map((name) => `\`${name}\``).join(' or ')).join(' and ');
  const body = table(
    ['parameter', 'may be', 'at most', 'not on'],
    rows.map(([name, parameter]) => [
      `\`${name}\``,
      parameter.kinds?.join(', ') ?? (operations[operation].body === 'form' ? 'a part of the form' : 'any'),
      limitOf(parameter),
      leftOutBy(operation, name),
    ]),
  );
  return `### ${operation}\n\nRequired: ${needed}.\n\n${body}\n`;
}

function refusedRows(): readonly (readonly string[])[] {
  const refused = new Map(Object.values(parameters).flatMap((all) => [...all].filter(([, { rule }]) => rule?.kind === 'refused')));
  return [...refused].map(([name, { rule }]) => [`\`${name}\``, rule?.kind === 'refused' ? rule.because : '']);
}

function render(): string {
  const routes = operationNames.map((name) => {
    const { routes: paths, streams, summary } = operations[name];
    return [paths.map((path) => `\`POST ${path}\``).join(', '), summary, streams ? 'yes' : '', enginesOf(name).join(', ')];
  });
  const own = Object.entries(ours).map(([engine, { parameters: all, unsupported, internal }]) => {
    const left: readonly string[] = [...unsupported, ...internal];
    return [engine, code([...all.keys()].filter((name) => !left.includes(name))), code(internal)];
  });
  const admin = adminRoutes.map(({ method, path, summary, query, body, codes, only }) => {
    const given = Object.keys(
      z.toJSONSchema(query ?? body ?? z.strictObject({}), { io: 'input', unrepresentable: 'any' }).properties ?? {},
    );
    const asked = path === '/api/stop' ? '`drain_s` or `now`' : code(given);
    return [`\`${method.toUpperCase()} ${path}\``, summary, asked, code(codes), only === undefined ? 'TCP, socket' : only];
  });
  return [
    mark,
    '',
    '## Routes',
    '',
    table(['route', '', 'streams', 'engines'], routes),
    '',
    'An engine that is not named answers 404 `operation_unsupported`. Whether a model can do what its engine serves (embeddings, rerank, transcriptions), the model decides.',
    '',
    '## Error codes by route',
    '',
    table(
      ['route', 'codes'],
      [
        ['the routes above', code(operationCodes)],
        ['`GET /v1/models`, `GET /v1/models/{model}`', code(modelCodes)],
        ['any other path, any other method', '`route_not_found`, `method_not_allowed`'],
      ],
    ),
    '',
    'Meaning, status and type of each: [errors.md](errors.md). An engine’s own refusal keeps its status and message.',
    '',
    '## Parameters',
    '',
    '“At most” are limits of `gateway.limits` and their defaults; more is 400 `param_too_large`. “Not on”: the engine cannot honour it, and the gateway does what `unsupported_params` says.',
    '',
    ...operationNames.map(parametersOf),
    '### Parameters of single engines',
    '',
    'Passed on to the engine that knows them, on any route; the constraints that all engines share (`guided_json`, `guided_regex`, `structured_outputs`, `json_schema`, `grammar`, …) are translated. Taken out before an engine sees them: those of the last column.',
    '',
    table(['engine', 'its own', 'not for clients'], own),
    '',
    '### Refused',
    '',
    '400 `param_refused`, unless `allowed_params` names them.',
    '',
    table(['parameter', 'because'], refusedRows()),
    '',
    '## Admin plane',
    '',
    table(['route', '', 'query or body', 'codes', 'on'], admin),
    '',
    'Each may also answer `request_invalid`, `invalid_api_key`, `key_not_permitted`, `admin_refused`, `internal_error`. The document: [openapi-admin.json](openapi-admin.json).',
    '',
  ].join('\n');
}

describe('docs/api.md', () => {
  test('lists what the program has', async () => {
    const text = await readFile(inDocs('api.md'), 'utf8');
    const written = text.slice(0, text.indexOf(mark));
    assert.ok(written.length > 500, 'what stands above the mark is written by hand');
    if (update) await writeFile(inDocs('api.md'), written + render());
    assert.equal(await readFile(inDocs('api.md'), 'utf8'), written + render(), renew);
  });
});
