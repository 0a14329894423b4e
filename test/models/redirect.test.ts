import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { redirectTarget } from '../../src/models/redirect.ts';

describe('a redirect of a store', () => {
  const followed: readonly (readonly [string, string, string])[] = [
    ['https://hub.example/a', 'https://cdn.example/b?x=1', 'https://cdn.example/b?x=1'],
    ['https://hub.example/a/b', '../c', 'https://hub.example/c'],
    ['http://127.0.0.1:1/a', 'http://localhost:2/b', 'http://localhost:2/b'],
    ['http://127.0.0.1:1/a', 'https://cdn.example/b', 'https://cdn.example/b'],
  ];
  for (const [from, location, to] of followed)
    it(`from ${from} to ${location} is followed`, () => {
      assert.equal(redirectTarget(new URL(from), location).href, to);
    });
  const refused: readonly (readonly [string, string | undefined, string, RegExp])[] = [
    [
      'https://hub.example/a',
      'http://cdn.example/b',
      'unsafe',
      /https:\/\/hub\.example redirects to http:\/\/cdn\.example, which is not https/,
    ],
    ['https://hub.example/a', 'file:///etc/passwd', 'unsafe', /redirects to file:\/\/, which is not https/],
    ['http://127.0.0.1:1/a', 'http://10.0.0.1/b', 'unsafe', /which is not https/],
    ['https://hub.example/a', 'https://127.0.0.1/b', 'unsafe', /redirects to this machine \(https:\/\/127\.0\.0\.1\)/],
    ['https://hub.example/a', 'https://localhost:8443/b', 'unsafe', /redirects to this machine/],
    ['https://hub.example/a', 'https://[::1]/b', 'unsafe', /redirects to this machine/],
    ['https://hub.example/a', 'https://2130706433/b', 'unsafe', /redirects to this machine/],
    ['https://hub.example/a', 'https://a.localhost./b', 'unsafe', /redirects to this machine/],
    ['https://hub.example/a', 'https://0.0.0.0/b', 'unsafe', /redirects to this machine/],
    ['https://hub.example/a', 'https://[::ffff:127.0.0.1]/b', 'unsafe', /redirects to this machine/],
    ['https://hub.example/a', undefined, 'unreadable', /a redirect to nowhere/],
    ['https://hub.example/a', 'https://', 'unreadable', /a redirect to nowhere/],
  ];
  for (const [from, location, problem, message] of refused)
    it(`from ${from} to ${location ?? 'nowhere'} is not`, () => {
      assert.throws(() => redirectTarget(new URL(from), location), { code: 'artifact_unavailable', problem, message });
    });
});
