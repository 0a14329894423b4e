import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { redactedArguments, redactor, secretsOf } from '../../src/supervisor/redact.ts';

const canary = 'c4n4ryC4n4ryC4n4ryC4n4ry';
const show = redactor([]);

const leaks: Readonly<Record<string, string>> = {
  'a token of Hugging Face': `Invalid user token hf_${canary}.`,
  'a key of OpenAI': `using sk-proj-${canary}`,
  'a token of GitHub': `remote: ghp_${canary} was refused`,
  'a key of AWS': 'credentials: AKIAC4N4RYC4N4RYABCD',
  'a JSON Web Token': `got eyJhbGciOiJIUzI1NiJ9.${canary}.${canary}`,
  'a header': `Authorization: Bearer ${canary}`,
  'a header of a proxy': `proxy-authorization: Basic ${canary}`,
  'a dumped header': `{'authorization': 'Bearer ${canary}', 'accept': '*/*'}`,
  'a dumped key': `headers={"x-api-key": "${canary}"}`,
  'a cookie': `Set-Cookie: session=${canary}; Path=/`,
  'a presigned URL of S3': `GET https://b.s3.amazonaws.com/w.bin?X-Amz-Algorithm=A&X-Amz-Credential=${canary}%2F20&X-Amz-Signature=${canary}`,
  'a presigned URL of Google': `https://storage.googleapis.com/b/o?X-Goog-Signature=${canary}`,
  'a shared access signature': `https://a.blob.core.windows.net/c/b?sv=1&sig=${canary}%3D`,
  'a CDN': `https://cdn-lfs.hf.co/x?Policy=${canary}&Signature=${canary}&Key-Pair-Id=${canary}`,
  'a user in a URL': `proxy http://user:${canary}@proxy:3128 refused`,
  'an environment': `environ HF_TOKEN=${canary} HOME=/root`,
  'a JSON environment': `{"AWS_SECRET_ACCESS_KEY": "${canary}", "A": 1}`,
  'arguments as vLLM prints them': `non-default args: {'api_key': ['${canary}'], 'max_model_len': 4096}`,
  'arguments as SGLang prints them': `server_args=ServerArgs(model_path='m', api_key='${canary}', tp_size=1)`,
};

for (const [what, line] of Object.entries(leaks)) {
  test(`taken out: ${what}`, () => {
    const shown = show(line);
    assert.ok(!/c4n4ry/i.test(shown), shown);
    assert.match(shown, /\[redacted\]/);
    assert.equal(show(shown), shown, 'twice is once');
  });
}

test('what only looks a little like a secret is shown', () => {
  const lines = [
    'INFO 11-24 12:00:00 [loggers.py:123] Engine 000: Avg prompt throughput: 12.2 tokens/s, GPU KV cache usage: 3.1%',
    "args: {'max_tokens': 4096, 'api_key': None, 'tokenizer': 'HuggingFaceTB/SmolLM2'}",
    'loading https://huggingface.co/org/model/resolve/main/config.json?download=true',
    'error: unrecognized arguments: --foo',
    'sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 does not match',
  ];
  assert.deepEqual(lines.map(show), lines);
});

test('of an environment those values are secret whose names say so', () => {
  const env = {
    HF_TOKEN: 'hf-secret',
    OPENAI_API_KEY: 'key-secret',
    DB_PASSWORD: 'pass-secret',
    TOKENIZERS_PARALLELISM: 'false-looking',
    VLLM_LOGGING_LEVEL: 'DEBUG-level',
    HF_TOKEN_PATH: '/home/me/token',
    MY_KEY: 'short',
  };
  assert.deepEqual(secretsOf(env), ['hf-secret', 'key-secret', 'pass-secret']);
});

test('property: a secret that is given is never shown, whatever stands around it and whatever it consists of', () => {
  const text = fc.string({ maxLength: 40 });
  const secret = fc.string({ minLength: 6, maxLength: 40 }).filter((value) => !'[redacted]'.includes(value));
  fc.assert(
    fc.property(text, secret, text, secret, (before, first, after, second) => {
      const shown = redactor([first, second])(`${before}${first}${after}${second}`);
      // A secret that the replacement itself completes again is not one that was there.
      const rest = shown.split('[redacted]');
      for (const part of rest) assert.ok(!part.includes(first) && !part.includes(second), shown);
    }),
  );
});

test('a hostile line of the greatest length is read in one pass', () => {
  for (const unit of ['a_', 'api_key=', 'eyJ', ' ://aaaa', 'authorization', 'sk-', 'x?sig=']) {
    const line = unit.repeat(65_536 / unit.length);
    assert.ok(show(line).length <= line.length * 3, unit);
  }
});

test('a command line is shown without secrets: of the environment, by their form, and after an option that says so', () => {
  const shown = redactedArguments(
    ['llama-server', '--hf-token', canary, '--url', `https://u:${canary}@host`, 'from-env-1', '--max-tokens', '4096', '--port', '<port>'],
    { MY_KEY: 'from-env-1' },
  );
  assert.deepEqual(shown, [
    'llama-server',
    '--hf-token',
    '[redacted]',
    '--url',
    'https://[redacted]@host',
    '[redacted]',
    '--max-tokens',
    '4096',
    '--port',
    '<port>',
  ]);
});
