import { resolve } from 'node:path';
import { isUrl } from '../models/reference.ts';
import type { ModelSource } from './config.ts';
import type { ResolveContext } from './context.ts';
import { existingPath } from './local-path.ts';
import type { ConfigPath } from './problems.ts';
import type { ModelEntry } from './schema.ts';
import { shownSource, storedSource } from './stored-source.ts';

/** Where a model's files are: here, with the engine, or in a store that they are brought from before the engine starts. */
export function resolveSource(entry: ModelEntry, path: ConfigPath, context: ResolveContext): ModelSource {
  const { model_id: id, model_source: source } = entry.model_loading_config;
  const here = [...path, 'model_loading_config', 'model_source'];
  if (source === undefined) return { kind: 'reference', value: id };
  if (typeof source !== 'string') return resolveUrl(source.bucket_uri, entry, [...here, 'bucket_uri'], context);
  if (isUrl(source)) return resolveUrl(source, entry, here, context);
  const local = existingPath(source, here, context, 'a name that the engine resolves itself (owner/model)');
  if (local !== undefined) return { kind: 'path', value: local };
  if (context.exists(resolve(context.directoryOf(here), source))) {
    context.warning(
      here,
      `taken as a name that the engine resolves itself; for the local file of that name write ${JSON.stringify(`./${source}`)}`,
    );
  }
  return { kind: 'reference', value: source };
}

/** An engine's option, whichever way it is written. */
export function option(entry: ModelEntry, name: string): unknown {
  return entry.engine_kwargs[name] ?? entry.engine_kwargs[name.replaceAll('_', '-')];
}

function resolveUrl(source: string, entry: ModelEntry, here: ConfigPath, context: ResolveContext): ModelSource {
  const stored = storedSource(source, here, context);
  if (stored === undefined) return { kind: 'reference', value: shownSource(source) };
  const { reference } = stored;
  const format = option(entry, 'load_format');
  const streams = typeof format === 'string' && format.startsWith('runai_streamer');
  // The engine reads the bucket itself, as it loads.
  if (streams && (reference.kind === 's3' || reference.kind === 'gs')) return { kind: 'reference', value: source };
  const trustRemoteCode = option(entry, 'trust_remote_code') === true;
  return { kind: 'remote', ...stored, trustRemoteCode };
}
