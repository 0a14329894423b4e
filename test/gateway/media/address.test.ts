import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { MediaSettings } from '../../../src/core/messages.ts';
import { isPublic } from '../../../src/gateway/media/address.ts';
import { imageType } from '../../../src/gateway/media/image-type.ts';
import { checkDataUrl, checkUrl, usableAddresses } from '../../../src/gateway/media/rules.ts';

const settings: MediaSettings = {
  fetch: 'public',
  allowedHosts: ['images.internal', '10.1.2.3'],
  maxImages: 16,
  maxImageBytes: 1000,
  maxTotalBytes: 10_000,
  timeoutMs: 1000,
};
const media = { url: 'http://x/', param: 'messages.0' };

describe('addresses', () => {
  const inside = [
    '127.0.0.1 127.255.0.1 10.0.0.1 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 0.0.0.0 0.1.2.3 224.0.0.1 240.0.0.1 255.255.255.255',
    '192.0.0.1 192.0.2.1 198.18.0.1 198.51.100.1 203.0.113.1 192.88.99.1',
    ':: ::1 fe80::1 fe80::1%eth0 fc00::1 fd12::1 fec0::1 ff02::1 2001:db8::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:a00:1 64:ff9b::a00:1',
    '64:ff9b:1::a00:1 2002:7f00:1:: 2001:0:7f00:1::1 100::1 4000::1 localhost not-an-address',
  ];
  for (const address of inside.flatMap((line) => line.split(' ')))
    test(`${address} is not public`, () => assert.equal(isPublic(address), false));
  for (const address of ['8.8.8.8', '1.1.1.1', '172.32.0.1', '2606:4700:4700::1111', '::ffff:8.8.8.8']) {
    test(`${address} is public`, () => assert.equal(isPublic(address), true));
  }

  test('of a host’s addresses only the public ones are used; all of a listed host', () => {
    const both = ['10.0.0.1', '8.8.8.8'];
    assert.deepEqual(usableAddresses(new URL('http://a.example'), both, media, settings), ['8.8.8.8']);
    assert.deepEqual(usableAddresses(new URL('http://images.internal'), both, media, settings), both);
    for (const found of [[], ['10.0.0.1'], ['::1', '127.0.0.1']]) {
      assert.throws(() => usableAddresses(new URL('http://a.example'), found, media, settings), { code: 'media_refused' });
    }
  });
});

describe('URLs', () => {
  for (const url of [
    'file:///etc/passwd',
    'gopher://a/',
    'ftp://a/',
    'javascript:1',
    'blob:http://a/b',
    '/etc/passwd',
    'a.png',
    '',
    'http://',
    'http://u:p@a/',
  ])
    test(`${JSON.stringify(url)} is refused`, () =>
      assert.throws(() => checkUrl(url, media, settings), { code: 'media_refused', param: 'messages.0' }));

  const spelt: Readonly<Record<string, string>> = {
    'http://2130706433/': '127.0.0.1',
    'http://0x7f.1/': '127.0.0.1',
    'http://0177.0.0.1/': '127.0.0.1',
    'http://127.1/': '127.0.0.1',
    'http://[::ffff:169.254.169.254]/': '[::ffff:a9fe:a9fe]',
    'http://１２７.0.0.1/': '127.0.0.1',
  };
  for (const [url, host] of Object.entries(spelt)) {
    test(`${url} is ${host}`, () => {
      const read = checkUrl(url, media, settings);
      assert.equal(read.hostname, host);
      assert.throws(() => usableAddresses(read, [host.replaceAll(/[[\]]/gu, '')], media, settings), { code: 'media_refused' });
    });
  }

  test('fetch: listed and none', () => {
    const listed = { ...settings, fetch: 'listed' } as const;
    assert.throws(() => checkUrl('https://a.example/', media, listed), { code: 'media_refused', message: /allowed_hosts/u });
    assert.equal(checkUrl('https://Images.internal/', media, listed).hostname, 'images.internal');
    assert.throws(() => checkUrl('https://images.internal/', media, { ...settings, fetch: 'none' }), {
      code: 'media_refused',
      message: /is none/u,
    });
  });

  test('data URLs have a limit', () => {
    checkDataUrl({ url: `data:image/png;base64,${'A'.repeat(1332)}`, param: 'x' }, settings);
    assert.throws(() => checkDataUrl({ url: `data:image/png;base64,${'A'.repeat(1340)}`, param: 'x' }, settings), {
      code: 'media_refused',
      message: /has 1005 bytes; at most 1000/u,
    });
  });
});

test('images are told by their first bytes', () => {
  assert.equal(imageType(Buffer.from('\x89PNG\r\n\x1a\nrest', 'latin1')), 'image/png');
  assert.equal(imageType(Buffer.from('RIFF\0\0\0\0WEBPVP8', 'latin1')), 'image/webp');
  assert.equal(imageType(Buffer.from('<svg xmlns="http://www.w3.org/2000/svg">')), undefined);
  assert.equal(imageType(Buffer.alloc(0)), undefined);
});
