import type { RemoteReference } from './reference.ts';
import type { Source, SourceEnv } from './source.ts';

/** The store that `reference` names; what speaks to it is loaded only then. Nothing is asked of it yet. */
export async function openSource(reference: RemoteReference, env: SourceEnv): Promise<Source> {
  switch (reference.kind) {
    case 's3':
      return await (await import('./sources/s3.ts')).S3Source.open(reference, env);
    case 'gs':
      return await (await import('./sources/gcs.ts')).GcsSource.open(reference, env);
    case 'hf':
      return new (await import('./sources/hub.ts')).HubSource(reference, env);
    case 'https':
      return new (await import('./sources/url.ts')).UrlSource(reference, env);
  }
}
