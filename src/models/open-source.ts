import type { RemoteReference } from './reference.ts';
import type { Source, SourceEnv } from './source.ts';
import { HubSource } from './sources/hub.ts';
import { S3Source } from './sources/s3.ts';
import { GcsSource } from './sources/gcs.ts';
import { UrlSource } from './sources/url.ts';

/** The store that `reference` names. Nothing is asked of it yet. */
export async function openSource(reference: RemoteReference, env: SourceEnv): Promise<Source> {
  switch (reference.kind) {
    case 's3':
      return await S3Source.open(reference, env);
    case 'gs':
      return await GcsSource.open(reference, env);
    case 'hf':
      return new HubSource(reference, env);
    case 'https':
      return new UrlSource(reference, env);
  }
}
