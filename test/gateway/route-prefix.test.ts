import assert from 'node:assert/strict';
import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { describe, test } from 'node:test';
import { emptyTable } from '../../src/core/table.ts';
import { prefixOf, rewriteUrl } from '../../src/gateway/route-prefix.ts';

describe('rewriteUrl', () => {
  const apps = new Map(['', '/a', '/a/b', '/v1/x'].map((prefix) => [prefix, new Map()]));
  const cases: readonly [url: string, prefix: string, rest: string][] = [
    ['/v1/models', '', '/v1/models'],
    ['/a/v1/models?x=1', '/a', '/v1/models?x=1'],
    ['/a/b/v1/models', '/a/b', '/v1/models'],
    ['/ab/v1/models', '', '/ab/v1/models'],
    ['/a', '', '/a'],
    ['/a/health', '', '/a/health'],
    ['/v1/x/v1/models', '/v1/x', '/v1/models'],
    ['/v1/x/models', '', '/v1/x/models'],
    ['/health', '', '/health'],
  ];
  for (const [url, prefix, rest] of cases) {
    test(`${url} → '${prefix}' + ${rest}`, () => {
      const raw = new IncomingMessage(new Socket());
      raw.url = url;
      assert.equal(rewriteUrl(raw, { ...emptyTable, apps }), rest);
      assert.equal(prefixOf(raw), prefix);
    });
  }
});
