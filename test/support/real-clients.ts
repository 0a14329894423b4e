import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { plainPng } from '../../src/conformance/png.ts';
import { type GatewayProcess, startGateway } from './gateway-process.ts';
import { realEngine, realModel, skipReal } from './quickstart.ts';
import { until } from './until.ts';

export const chatModel = 'smollm2-135m';
export const embeddingModel = 'smollm2-embeddings';

/** Keys of the gateway that `realGateway` starts: one without limits, one for a single request a minute. */
export const clientKey = 'client-key-0123456789';
export const onceKey = 'once-a-minute-0123456789';

/** A question to which the model gives the same answer each time. */
export const capital = 'What is the capital of France? Answer in one sentence.';

/** One that it answers at length, in more than 700 tokens: who leaves in the middle leaves before the end. */
export const story = 'Write a long story about a dragon and a knight.';

/** More than the model's context takes. */
export const tooLong = 'word '.repeat(5000);

/** Small enough for any model to obey, and nothing that one answers to `capital` by chance. */
export const answerSchema = {
  type: 'object',
  properties: { colour: { type: 'string', enum: ['red', 'green'] }, certain: { type: 'boolean' } },
  required: ['colour', 'certain'],
  additionalProperties: false,
} as const;

/** A red square, as a data URL's base64. */
export const redSquare = plainPng(64, [255, 0, 0]).toString('base64');

const mmproj = fileURLToPath(new URL('../fixtures/models/mmproj-colour.gguf', import.meta.url));

/** A gateway with keys before a real llama-server that sees colours and, with `embeddings`, one that gives vectors. */
export async function realGateway(t: TestContext, { embeddings = false } = {}): Promise<GatewayProcess> {
  const chat = realModel(1, { mmproj });
  const vectors = {
    ...realModel(1, { embeddings: true, pooling: 'mean', ctx_size: 512, parallel: 1 }),
    model_loading_config: { ...(realModel(1) as { model_loading_config: object }).model_loading_config, model_id: embeddingModel },
  };
  const keys = [
    { name: 'client', key: clientKey },
    { name: 'once', key: onceKey, limits: { rpm: 1 } },
  ];
  return await startGateway(t, embeddings ? [chat, vectors] : [chat], { more: { ...realEngine, keys } });
}

/** A test of one client against the gateway before a real engine. */
export function clientTest(
  client: string,
  models: { readonly embeddings: boolean },
  body: (t: TestContext, gateway: GatewayProcess) => Promise<void>,
): void {
  test(`${client} on a real llama-server`, { skip: skipReal }, async (t) => body(t, await realGateway(t, models)));
}

/** Resolves when the gateway has counted a request whose client left, and works on none. */
export async function leftNothing(gateway: GatewayProcess): Promise<void> {
  await until('the client was seen to leave, and the engine is idle', async () => {
    const counted = /roundhouse_requests_total\{[^}]*outcome="client_closed"\} [1-9]/.test(await gateway.metrics());
    return counted && (await gateway.status()).every(({ waiting, replicas }) => waiting === 0 && replicas.every((r) => r.inFlight === 0));
  });
}
