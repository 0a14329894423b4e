import { messageOf } from '../../core/errors.ts';
import { ArtifactError } from '../artifact-error.ts';
import type { HttpHead } from '../http-head.ts';

const elementOf = (xml: string, name: string): string | undefined => new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1];

/** A refusal that did not go through the SDK, as the SDK would tell it. `text`: the body. */
export function s3Refusal(head: HttpHead, text: string): Error {
  const region = elementOf(text, 'Region') ?? head.header('x-amz-bucket-region');
  return Object.assign(new Error(elementOf(text, 'Message') ?? `status ${head.status}`), {
    name: elementOf(text, 'Code') ?? '',
    $metadata: { httpStatusCode: head.status },
    ...(region === undefined ? {} : { Region: region }),
  });
}

/** What is read of an error of the SDK's (3.1175); every field may be missing. */
interface Told {
  readonly name: string;
  readonly status: number | undefined;
  /** Where the bucket is, by its own word. */
  readonly region: string | undefined;
}

function read(thrown: unknown): Told {
  const error = thrown as {
    name?: string;
    Code?: string;
    code?: string;
    Region?: string;
    $metadata?: { httpStatusCode?: number };
    $response?: { headers?: Record<string, string> };
  };
  return {
    name: error.Code ?? error.name ?? error.code ?? '',
    status: error.$metadata?.httpStatusCode,
    region: error.Region ?? error.$response?.headers?.['x-amz-bucket-region'],
  };
}

const keysUnknown: ReadonlySet<string> = new Set([
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
  'InvalidToken',
  // Of versitygw 1.8, with 404.
  'XAdminUserNotFound',
]);
const expired: ReadonlySet<string> = new Set(['ExpiredToken', 'ExpiredTokenException', 'TokenRefreshRequired']);
const busy: ReadonlySet<string> = new Set([
  'SlowDown',
  'ServiceUnavailable',
  'Throttling',
  'ThrottlingException',
  'RequestLimitExceeded',
  'InternalError',
]);

/** The cause in our words, with what to do about it. `where`: the reference, for the message. */
export function s3Error(thrown: unknown, where: string): ArtifactError {
  if (thrown instanceof ArtifactError) return thrown;
  const { name, status, region } = read(thrown);
  const tell = (problem: ConstructorParameters<typeof ArtifactError>[0], message: string): ArtifactError =>
    new ArtifactError(problem, message, thrown);
  if (name === 'RequestTimeTooSkewed')
    return tell(
      'clock-skew',
      `${where}: the clock of this machine differs from the store's by more than 15 minutes (${name}). Set it right (NTP).`,
    );
  if (expired.has(name)) return tell('credentials', `${where}: the credentials have expired (${name}). Renew them, and start again.`);
  if (keysUnknown.has(name))
    return tell(
      'forbidden',
      `${where}: the store does not know these credentials (${name}). Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, in the environment or in runtime_env.env_vars.`,
    );
  if (name === 'CredentialsProviderError')
    return tell(
      'credentials',
      `${where}: there are no credentials. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or AWS_PROFILE, or write s3://anonymous@… for a public bucket.`,
    );
  if (
    status === 301 ||
    name === 'PermanentRedirect' ||
    name === 'AuthorizationHeaderMalformed' ||
    name === 'IllegalLocationConstraintException'
  ) {
    const there = region === undefined ? 'in another region' : `in the region ${region}`;
    return tell(
      'wrong-region',
      `${where}: the bucket is ${there}. Set AWS_REGION${region === undefined ? '' : `=${region}`}, in the environment or in runtime_env.env_vars.`,
    );
  }
  if (name === 'NoSuchBucket')
    return tell('missing', `${where}: there is no such bucket. Check its name, and AWS_ENDPOINT_URL if the store is not Amazon's.`);
  if (status === 404) return tell('missing', `${where}: there is no such object (${name || status}). Check the prefix.`);
  if (status === 412) return tell('changed', `${where}: an object was replaced while it was fetched.`);
  if (status === 401 || status === 403)
    return tell(
      'forbidden',
      `${where}: access denied (${name || status}). The credentials need s3:ListBucket and s3:GetObject there; write s3://anonymous@… for a public bucket.`,
    );
  if (status === 429 || (status !== undefined && status >= 500) || busy.has(name))
    return tell('busy', `${where}: the store asks for patience (${name || status}). It is asked again, more slowly.`);
  if (status !== undefined && status >= 400)
    return tell('unreadable', `${where}: the store refuses the request: ${name} ${messageOf(thrown)} (${status}).`);
  return tell('unreachable', `${where}: cannot be reached: ${messageOf(thrown)}. Check the network and AWS_ENDPOINT_URL.`);
}
