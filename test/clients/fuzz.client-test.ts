import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { adminDocument } from '../../src/admin/openapi.ts';
import { dataDocument } from '../../src/gateway/openapi/document.ts';
import { fakeModel, startGateway, tempDir } from '../support/gateway-process.ts';
import { until } from '../support/until.ts';
import { runPython } from './support/python.ts';

/** What a server is held to: no 5xx, and statuses, types, bodies and methods as its document says. */
const checks = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_schema_conformance',
  'unsupported_method',
];

const settings = [
  `--checks=${checks.join()}`,
  '--phases=examples,coverage,fuzzing',
  '--max-examples=10',
  '--max-time=180',
  '--continue-on-failure',
  '--generation-deterministic',
  '--no-color',
];

for (const { name, document, excluded } of [
  { name: 'API', document: dataDocument, excluded: [] },
  // They would end the gateway, and ask the engine itself.
  { name: 'admin plane', document: adminDocument, excluded: ['/api/stop', '/api/logs', '/engines/{replica}/{path}'] },
])
  test(`schemathesis finds nothing wrong with the ${name}, and the gateway lives`, async (t) => {
    const gateway = await startGateway(t, [fakeModel('my-model')], { more: { workers: 1 } });
    const dir = await tempDir(t);
    await writeFile(join(dir, 'openapi.json'), JSON.stringify(document()));
    const url = document === dataDocument ? gateway.url : gateway.adminUrl;
    const without = excluded.flatMap((path) => ['--exclude-path', path]);
    const { code, output } = await runPython(['-m', 'schemathesis.cli', 'run', 'openapi.json', '--url', url, ...settings, ...without], dir);
    t.diagnostic(/\d+ generated.*/.exec(output)?.[0] ?? output.slice(-500));
    assert.equal(code, 0, output);
    assert.match(output, /[1-9]\d{2,} generated/, 'it did something');
    // Asked through the admin plane, it may have come to no replica, or to a thousand.
    const body = JSON.stringify({ model: 'my-model', replicas: 1 });
    const scaled = await fetch(`${gateway.adminUrl}/api/scale`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    assert.equal(scaled.status, 200);
    const isOne = async (): Promise<boolean> => {
      const [model] = await gateway.status();
      return model?.replicas.length === 1 && (await fetch(`${gateway.url}/ready`)).status === 200;
    };
    await until('one replica serves', isOne, 120_000);
    assert.equal((await gateway.post({ model: 'my-model', messages: [{ role: 'user', content: 'Hi' }] })).status, 200);
    const [model] = await gateway.status();
    assert.equal(model?.replicas[0]?.restarts, 0, 'nor did an engine end by itself');
    assert.doesNotMatch(gateway.log(), /"level":(?:50|60)/);
  });
