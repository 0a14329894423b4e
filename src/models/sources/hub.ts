import { z } from 'zod';
import { parseJson } from '../../core/json.ts';
import { ArtifactError } from '../artifact-error.ts';
import type { ByteSink } from '../byte-sink.ts';
import { HttpClient } from '../http.ts';
import type { HttpReply } from '../http.ts';
import { expectOk, statusError } from '../http-error.ts';
import type { Remedies } from '../http-error.ts';
import { readRange } from '../read-body.ts';
import type { RemoteReference } from '../reference.ts';
import { referenceText } from '../reference.ts';
import type { ByteRange, RemoteObject, Source, SourceEnv } from '../source.ts';

type Reference = RemoteReference & { readonly kind: 'hf' };

const revisionReply = z.object({ sha: z.string().regex(/^[0-9a-f]{40}$/) });
const treeReply = z.array(
  z.object({
    type: z.string(),
    path: z.string(),
    size: z.int().min(0).optional(),
    oid: z.string(),
    lfs: z.object({ oid: z.string().regex(/^[0-9a-f]{64}$/), size: z.int().min(0) }).optional(),
  }),
);

const encoded = (path: string): string => path.split('/').map(encodeURIComponent).join('/');

/** A repository of the Hugging Face hub, pinned to the commit that its revision is now. `HF_ENDPOINT`: a mirror. */
export class HubSource implements Source {
  readonly #reference: Reference;
  readonly #http: HttpClient;
  readonly #origin: string;
  readonly #authorization: string | undefined;
  #commit = '';

  constructor(reference: Reference, env: SourceEnv) {
    this.#reference = reference;
    this.#http = new HttpClient(env);
    this.#origin = (env['HF_ENDPOINT'] ?? 'https://huggingface.co').replace(/\/+$/, '');
    const token = env['HF_TOKEN'] ?? env['HUGGING_FACE_HUB_TOKEN'];
    this.#authorization = token === undefined || token === '' ? undefined : `Bearer ${token}`;
  }

  get #remedies(): Remedies {
    return {
      where: referenceText(this.#reference),
      forbidden:
        'A private or gated model needs HF_TOKEN, in the environment or in runtime_env.env_vars, of an account that has accepted its terms.',
      missing: 'Check the owner, the repository, the revision and the file.',
    };
  }

  async *list(signal: AbortSignal): AsyncIterable<RemoteObject> {
    const { repo, revision, file } = this.#reference;
    const api = `${this.#origin}/api/models/${repo}`;
    const head = await this.#json(`${api}/revision/${encodeURIComponent(revision)}`, revisionReply, signal);
    this.#commit = head.value.sha;
    let next: string | undefined = `${api}/tree/${this.#commit}?recursive=true`;
    while (next !== undefined) {
      const page: { readonly value: z.infer<typeof treeReply>; readonly next: string | undefined } = await this.#json(
        next,
        treeReply,
        signal,
      );
      for (const each of page.value) {
        if (each.type !== 'file' || (file !== undefined && each.path !== file)) continue;
        // Git's own digest is of the content with a header; it is what tells a changed file.
        const digests = each.lfs === undefined ? {} : { sha256: each.lfs.oid };
        const path = file === undefined ? each.path : each.path.slice(each.path.lastIndexOf('/') + 1);
        yield { path, key: each.path, sizeBytes: each.lfs?.size ?? each.size ?? 0, etag: each.oid, digests, ranges: true };
      }
      next = page.next;
    }
  }

  async read(object: RemoteObject, range: ByteRange, sink: ByteSink, signal: AbortSignal): Promise<void> {
    const url = new URL(`${this.#origin}/${this.#reference.repo}/resolve/${this.#commit}/${encoded(object.key)}`);
    const ask = { url, headers: {}, authorization: this.#authorization };
    await readRange(this.#http, ask, object, range, (head) => statusError(head, this.#remedies), sink, signal);
  }

  close(): void {
    this.#http.close();
  }

  async #json<T>(
    address: string,
    schema: z.ZodType<T>,
    signal: AbortSignal,
  ): Promise<{ readonly value: T; readonly next: string | undefined }> {
    const url = new URL(address);
    const reply = await this.#http.send(
      { method: 'GET', url, headers: { accept: 'application/json' }, authorization: this.#authorization },
      signal,
    );
    expectOk(reply, this.#remedies);
    const parsed = schema.safeParse(parseJson(reply.text));
    if (!parsed.success)
      throw new ArtifactError('unreadable', `${this.#remedies.where}: ${url.origin} does not answer as the model hub does.`, parsed.error);
    return { value: parsed.data, next: nextPage(reply, url) };
  }
}

/** The address of the next page, where there is one; never another server's. */
function nextPage(reply: HttpReply, url: URL): string | undefined {
  const link = /<([^>]+)>;\s*rel="next"/.exec(reply.header('link') ?? '')?.[1];
  if (link === undefined) return undefined;
  const next = new URL(link, url);
  return next.origin === url.origin ? next.href : undefined;
}
