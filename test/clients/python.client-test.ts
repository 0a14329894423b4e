import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { clientKey, chatModel, embeddingModel, leftNothing, onceKey, realGateway, redSquare } from '../support/real-clients.ts';
import { runPython } from './support/python.ts';

const here = fileURLToPath(new URL('.', import.meta.url));

for (const name of ['openai', 'anthropic', 'langchain'] as const)
  test(`${name} from PyPI on a real llama-server`, async (t) => {
    const gateway = await realGateway(t, { embeddings: true });
    const env = {
      GATEWAY_URL: gateway.url,
      GATEWAY_KEY: clientKey,
      GATEWAY_ONCE_KEY: onceKey,
      GATEWAY_MODEL: chatModel,
      GATEWAY_EMBEDDING_MODEL: embeddingModel,
      GATEWAY_RED_SQUARE: redSquare,
      PYTHONDONTWRITEBYTECODE: '1',
    };
    const args = ['-m', 'pytest', '-q', '-p', 'no:cacheprovider', `test_${name}.py`];
    const { code, output } = await runPython(args, here, env);
    t.diagnostic(output.trim().split('\n').at(-1) ?? '');
    assert.equal(code, 0, output);
    // Only one of them leaves in the middle of a reply.
    if (name === 'openai') await leftNothing(gateway);
  });
