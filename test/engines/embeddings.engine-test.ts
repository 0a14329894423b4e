import { test } from 'node:test';
import { keepReport } from '../support/conformance-report.ts';
import { conform, engines, reportOn, skipMissing, startOn } from './support/engines.ts';

for (const engine of engines) {
  test(`a real ${engine.name} ${engine.version} that is started for embeddings gives them`, { skip: skipMissing(engine) }, async (t) => {
    const gateway = await startOn(t, engine, { engine_kwargs: engine.embeddingKwargs });
    const report = await conform(gateway, '--only', 'embeddings', '--require', 'embeddings');
    await keepReport(`${engine.name}-embeddings.json`, { ...reportOn(engine), setting: 'started for embeddings' }, report);
  });
}
