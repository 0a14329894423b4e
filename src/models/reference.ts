import { isThisMachine } from './this-machine.ts';

interface BucketReference<Kind extends string> {
  readonly kind: Kind;
  readonly bucket: string;
  /** A directory, or one object; `''` for the whole bucket. */
  readonly prefix: string;
  /** Requests are not signed. */
  readonly anonymous: boolean;
}

/** Where a model's files are, when they are not on this machine. */
export type RemoteReference =
  | BucketReference<'s3'>
  | BucketReference<'gs'>
  /** A repository of the model hub; `file`: one file of it. */
  | { readonly kind: 'hf'; readonly repo: string; readonly revision: string; readonly file: string | undefined }
  /** One file. */
  | { readonly kind: 'https'; readonly url: string };

export type ParsedReference = RemoteReference | { readonly kind: 'bad'; readonly problem: string };

const scheme = /^([a-z][a-z0-9+.-]*):\/\//i;
const bucketName = /^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/;
const repoPart = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/** Whether `text` is written as a URL, so that it names neither a local path nor an id of the model hub. */
export function isUrl(text: string): boolean {
  return scheme.test(text);
}

const bad = (problem: string): ParsedReference => ({ kind: 'bad', problem });

const expected = 'expected s3://bucket/prefix, gs://bucket/prefix, hf://owner/repo/file.gguf or https://host/file.gguf';

/** The source that `text` names: `s3://[anonymous@]bucket/prefix`, `gs://[anonymous@]bucket/prefix`, `hf://owner/repo[@revision][/file]`, `https://…`. */
export function parseReference(text: string): ParsedReference {
  const found = scheme.exec(text);
  if (found === null) return bad(expected);

  if (/[\p{Cc}\\]/u.test(text)) return bad('it has a control character or a backslash; expected none');
  const rest = text.slice(found[0].length);
  switch ((found[1] ?? '').toLowerCase()) {
    case 's3':
      return parseBucket('s3', rest);
    case 'gs':
      return parseBucket('gs', rest);
    case 'hf':
      return parseHub(rest);
    case 'http':
    case 'https':
      return parseUrl(text);
    case 'abfss':
    case 'azure':
    case 'az':
      return bad('Azure storage is not supported in this version; give an https:// link to one file, or a local path');
    default:
      return bad(`there is no such kind of source; ${expected}`);
  }
}

function unsafePath(path: string): boolean {
  return path.split('/').some((part) => part === '..' || part === '.');
}

function parseBucket(kind: 's3' | 'gs', rest: string): ParsedReference {
  const slash = rest.indexOf('/');
  const authority = slash === -1 ? rest : rest.slice(0, slash);
  const prefix = slash === -1 ? '' : rest.slice(slash + 1).replaceAll(/^\/+|\/+$/g, '');
  const at = authority.lastIndexOf('@');
  const user = at === -1 ? undefined : authority.slice(0, at);
  const bucket = authority.slice(at + 1);
  if (user !== undefined && user !== 'anonymous')
    return bad('credentials do not belong in a source; expected them in the environment, and nothing but anonymous@ before the bucket');
  if (!bucketName.test(bucket))
    return bad(
      `${JSON.stringify(bucket)} is no name of a bucket; expected lower-case letters, digits, - . and _, with a letter or digit at both ends`,
    );
  if (unsafePath(prefix)) return bad(`the prefix ${JSON.stringify(prefix)} has "." or ".." in it; expected the path as the bucket has it`);
  return { kind, bucket, prefix, anonymous: user !== undefined };
}

function parseHub(rest: string): ParsedReference {
  const [owner = '', named = '', ...path] = rest.replace(/\/+$/, '').split('/');
  const [repo = '', revision = 'main', ...more] = named.split('@');
  const isRevision = /^[A-Za-z0-9._-]{1,128}$/.test(revision);
  if (!repoPart.test(owner) || !repoPart.test(repo) || more.length > 0 || !isRevision)
    return bad('expected hf://owner/repo, hf://owner/repo@revision or hf://owner/repo/file.gguf');
  const file = path.length === 0 ? undefined : path.join('/');
  if (file !== undefined && unsafePath(file))
    return bad(`the file ${JSON.stringify(file)} has "." or ".." in it; expected its path in the repository`);
  return { kind: 'hf', repo: `${owner}/${repo}`, revision, file };
}

function parseUrl(text: string): ParsedReference {
  if (!URL.canParse(text)) return bad('it is no URL; expected https://host/file.gguf');
  const url = new URL(text);
  if (url.username !== '' || url.password !== '')
    return bad('credentials do not belong in a source, which is shown in logs and in status; expected a URL without them');
  if (url.protocol === 'http:' && !isThisMachine(url.hostname))
    return bad('expected https://: over plain http anybody on the way could replace the model');
  if (url.pathname.endsWith('/')) return bad('expected the URL of one file; it ends with /');
  url.hash = '';
  return { kind: 'https', url: url.href };
}

/** The reference as it is shown and compared; two ways to write the same source give the same text. A URL's query is not part of it: it may be a secret. */
export function referenceText(reference: RemoteReference): string {
  switch (reference.kind) {
    case 's3':
    case 'gs': {
      const { kind, anonymous, bucket, prefix } = reference;
      return `${kind}://${anonymous ? 'anonymous@' : ''}${bucket}${prefix === '' ? '' : `/${prefix}`}`;
    }
    case 'hf': {
      const { repo, revision, file } = reference;
      return `hf://${repo}${revision === 'main' ? '' : `@${revision}`}${file === undefined ? '' : `/${file}`}`;
    }
    case 'https': {
      const url = new URL(reference.url);
      return `${url.origin}${url.pathname}`;
    }
  }
}
