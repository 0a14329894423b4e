import { adapterName } from '../core/ids.ts';
import { isUrl } from '../models/reference.ts';
import type { AdapterPlace, AdapterRoot, Adapters } from './config.ts';
import type { ResolveContext } from './context.ts';
import { existingPath } from './local-path.ts';
import type { ConfigPath } from './problems.ts';
import { milliseconds } from './resolve-gateway.ts';
import { option } from './resolve-source.ts';
import type { ModelEntry } from './schema.ts';
import { storedSource } from './stored-source.ts';

/** Where a model's LoRA adapters come from; undefined without `lora_config`. */
export function resolveAdapters(entry: ModelEntry, path: ConfigPath, context: ResolveContext): Adapters | undefined {
  const { lora_config: lora } = entry;
  if (lora === undefined) return undefined;
  const here = [...path, 'lora_config'];
  if (entry.gateway.upstreams !== undefined) {
    const message =
      'beside gateway.upstreams, which others run: adapters are loaded and unloaded by whoever runs the engine; expected only one of them';
    context.problem(here, message, 'key');
  }
  const root = lora.dynamic_lora_loading_path ?? undefined;
  if (root === undefined && lora.adapters.length === 0) {
    const message = 'the engine is made ready for adapters, but there are none: expected dynamic_lora_loading_path, or adapters';
    context.warning(here, message);
  }
  const timeoutS = lora.download_timeout_s ?? 0;
  if (lora.max_download_tries !== undefined)
    context.warning(
      [...here, 'max_download_tries'],
      'accepted, no effect here: what fails is tried again as long as the store may come back, from the byte it had come to',
    );
  return {
    root: root === undefined ? undefined : rootOf(root, [...here, 'dynamic_lora_loading_path'], context),
    listed: resolveListed(lora.adapters, [...here, 'adapters'], context),
    maxPerReplica: lora.max_num_adapters_per_replica,
    refreshMs: milliseconds(lora.refresh_s),
    downloadTimeoutMs: timeoutS > 0 ? milliseconds(timeoutS) : undefined,
    trustRemoteCode: option(entry, 'trust_remote_code') === true,
  };
}

type Listed = NonNullable<ModelEntry['lora_config']>['adapters'];

function resolveListed(adapters: Listed, path: ConfigPath, context: ResolveContext): Adapters['listed'] {
  const seen = new Set<string>();
  return adapters.flatMap(({ name, source }, at) => {
    if (seen.has(name)) context.problem([...path, at, 'name'], `the adapter ${JSON.stringify(name)} is listed twice; expected each once`);
    seen.add(name);
    const place = placeOf(source, [...path, at, 'source'], context);
    return place === undefined ? [] : [{ name: adapterName(name), place }];
  });
}

const hubRoot = /^hf:\/\/([A-Za-z0-9][A-Za-z0-9._-]{0,95})?\/?$/u;
const hubId = /^[A-Za-z0-9][A-Za-z0-9._-]{0,95}\/[A-Za-z0-9._-]{1,96}(?:@[A-Za-z0-9._-]{1,96})?$/u;

/** Undefined where it is none, which has been told. */
function rootOf(text: string, path: ConfigPath, context: ResolveContext): AdapterRoot | undefined {
  const hub = hubRoot.exec(text);
  if (hub !== null) return { kind: 'hub', value: text, owner: hub[1] };
  const place = placeOf(text, path, context);
  if (place?.kind !== 'remote' || place.reference.kind === 's3' || place.reference.kind === 'gs') return place;
  const message = `${JSON.stringify(text)} is one adapter; expected where many are: a directory, s3://bucket/prefix, gs://bucket/prefix, or hf://owner`;
  context.problem(path, message);
  return undefined;
}

/** Undefined where it is none, which has been told. */
function placeOf(text: string, path: ConfigPath, context: ResolveContext): AdapterPlace | undefined {
  const local = existingPath(text, path, context);
  if (local !== undefined) return { kind: 'path', value: local };
  const expected = 'expected a path (./…, ~/… or /…), s3://bucket/prefix, gs://bucket/prefix, or the owner/name of a repository of the hub';
  const stored = storedSource(hubId.test(text) ? `hf://${text}` : text, path, context, isUrl(text) ? undefined : expected);
  return stored === undefined ? undefined : { kind: 'remote', ...stored };
}
