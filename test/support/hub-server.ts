import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface HubFile {
  readonly path: string;
  readonly body: Buffer;
  /** Kept in large file storage: known by its SHA-256, and served by another host. */
  readonly lfs?: boolean;
}

export interface HubRequest {
  readonly host: 'hub' | 'storage';
  readonly path: string;
  readonly authorization: string | undefined;
  readonly range: string | undefined;
}

const sha = (name: 'sha1' | 'sha256', body: Buffer): string => createHash(name).update(body).digest('hex');

async function listening(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<ReturnType<typeof createServer>> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

const portOf = (server: ReturnType<typeof createServer>): number => (server.address() as AddressInfo).port;

/**
 * Two servers that speak as much of the model hub's API as is read of it: the hub itself, and the storage that it redirects to. One
 * repository, `owner/repo`, whose branch `main` is the commit that was made last.
 */
export class HubServer implements AsyncDisposable {
  readonly seen: HubRequest[] = [];
  /** Who may read it; undefined: anybody. Another token is 403, none is 401. */
  token: string | undefined;
  pageSize = 1000;
  /** Where large files are said to be, instead of on the storage. */
  redirect: string | undefined;
  readonly #commits = new Map<string, readonly HubFile[]>();
  #main = '';
  #hub: ReturnType<typeof createServer> | undefined;
  #storage: ReturnType<typeof createServer> | undefined;

  static async start(files: readonly HubFile[]): Promise<HubServer> {
    const server = new HubServer();
    server.commit(files);
    server.#hub = await listening((request, response) => {
      server.#answer(request, response);
    });
    server.#storage = await listening((request, response) => {
      server.#store(request, response);
    });
    return server;
  }

  /** @returns the id of the commit */
  commit(files: readonly HubFile[]): string {
    const id = sha('sha1', Buffer.concat([Buffer.from(String(this.#commits.size)), ...files.map(({ body }) => body)]));
    this.#commits.set(id, files);
    this.#main = id;
    return id;
  }

  get url(): string {
    if (this.#hub === undefined) throw new Error('not started');
    return `http://127.0.0.1:${portOf(this.#hub)}`;
  }

  /** What a client of it needs in its environment. */
  get env(): Record<string, string> {
    return { HF_ENDPOINT: this.url };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of [this.#hub, this.#storage]) {
      server?.closeAllConnections();
      await new Promise((resolve) => server?.close(resolve));
    }
  }

  #note(host: HubRequest['host'], request: IncomingMessage): URL {
    const url = new URL(request.url ?? '/', 'http://hub');
    const { authorization, range } = request.headers;
    this.seen.push({ host, path: decodeURIComponent(url.pathname), authorization, range });
    return url;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = this.#note('hub', request);
    const refused = this.#refusal(request.headers.authorization);
    if (refused !== undefined) return void response.writeHead(refused).end('Access to model owner/repo is restricted.');
    const path = decodeURIComponent(url.pathname);
    const revision = /^\/api\/models\/owner\/repo\/revision\/(.+)$/.exec(path)?.[1];
    if (revision !== undefined) return this.#head(revision, response);
    const tree = /^\/api\/models\/owner\/repo\/tree\/([0-9a-f]{40})$/.exec(path)?.[1];
    if (tree !== undefined) return this.#tree(tree, url, response);
    const [, commit = '', name = ''] = /^\/owner\/repo\/resolve\/([0-9a-f]{40})\/(.+)$/.exec(path) ?? [];
    const file = this.#commits.get(commit)?.find((each) => each.path === name);
    if (file === undefined) return void response.writeHead(404).end();
    if (file.lfs !== true) return send(file.body, request, response);
    if (this.#storage === undefined) throw new Error('not started');
    // Another name of this machine: another origin, to which no token may go.
    const location = this.redirect ?? `http://localhost:${portOf(this.#storage)}/${sha('sha256', file.body)}?signature=s3cret`;
    response.writeHead(302, { location }).end();
  }

  #refusal(authorization: string | undefined): number | undefined {
    if (this.token === undefined || authorization === `Bearer ${this.token}`) return undefined;
    return authorization === undefined ? 401 : 403;
  }

  #head(revision: string, response: ServerResponse): void {
    const id = revision === 'main' ? this.#main : revision;
    if (!this.#commits.has(id)) return void response.writeHead(404).end();
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ id: 'owner/repo', sha: id }));
  }

  #tree(commit: string, url: URL, response: ServerResponse): void {
    const files = this.#commits.get(commit) ?? [];
    const from = Number(url.searchParams.get('cursor') ?? 0);
    const page = files.slice(from, from + this.pageSize).map(({ path, body, lfs }) => ({
      type: 'file',
      path,
      size: body.length,
      oid: sha('sha1', body),
      ...(lfs === true ? { lfs: { oid: sha('sha256', body), size: body.length, pointerSize: 134 } } : {}),
    }));
    const folder = { type: 'directory', path: 'folder', size: 0, oid: '0'.repeat(40) };
    if (from + this.pageSize < files.length)
      response.setHeader('link', `<${this.url}${url.pathname}?recursive=true&cursor=${from + this.pageSize}>; rel="next"`);
    response.setHeader('content-type', 'application/json').end(JSON.stringify([folder, ...page]));
  }

  #store(request: IncomingMessage, response: ServerResponse): void {
    const { pathname } = this.#note('storage', request);
    const all = [...this.#commits.values()].flat();
    const file = all.find(({ body }) => pathname === `/${sha('sha256', body)}`);
    if (file === undefined) response.writeHead(404).end();
    else send(file.body, request, response);
  }
}

function send(body: Buffer, request: IncomingMessage, response: ServerResponse): void {
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
  if (from === undefined || to === undefined) {
    response.writeHead(200, { 'content-length': body.length }).end(body);
    return;
  }
  const range = body.subarray(Number(from), Number(to) + 1);
  response.writeHead(206, { 'content-length': range.length, 'content-range': `bytes ${from}-${to}/${body.length}` }).end(range);
}
