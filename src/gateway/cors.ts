import type { IncomingMessage } from 'node:http';
import type { FastifyInstance } from 'fastify';
import type { CorsSettings } from '../core/messages.ts';

/** Programs of the user's own machine: a page from elsewhere cannot have such an origin. */
const ownMachine = /^[a-z][a-z0-9+.-]*:\/\/(?:[a-z0-9-]+\.)*(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?$/iu;

/** Whose pages may use the API. Where the config does not say: any with a key, and without keys only pages of the user's own machine. */
export type OriginRule = (origin: string, keysAreSet: boolean) => 'any' | 'this' | 'none';

/** `*` is any; in a pattern it stands for subdomains (`https://*.example.com`) or for the port (`http://localhost:*`). */
function matcher(pattern: string): RegExp {
  const escaped = pattern.replaceAll(/[.+?^${}()|[\]\\]/gu, String.raw`\$&`);
  return new RegExp(`^${escaped.replace('://*\\.', '://(?:[a-z0-9-]+\\.)+').replace(/:\*$/u, '(?::\\d+)?')}$`, 'iu');
}

export function originRule({ allowedOrigins }: Pick<CorsSettings, 'allowedOrigins'>): OriginRule {
  if (allowedOrigins === undefined) {
    return (origin, keysAreSet) => (keysAreSet ? 'any' : ownMachine.test(origin) ? 'this' : 'none');
  }
  if (allowedOrigins.includes('*')) return () => 'any';
  const patterns = allowedOrigins.map(matcher);
  return (origin) => (patterns.some((pattern) => pattern.test(origin)) ? 'this' : 'none');
}

export interface CorsDeps {
  readonly settings: CorsSettings;
  /** Whether a request needs a key. */
  guarded(raw: IncomingMessage): boolean;
  /** Methods of a path, as `Allow` lists them; undefined: there is no such path. */
  methodsOf(path: string): string | undefined;
}

/**
 * Lets pages of other origins use the API from a browser (CORS), without cookies: what opens it is the key that the page sends. Answers
 * preflights, which come without a key, before anything else looks at them.
 */
export function addCors(app: FastifyInstance, deps: CorsDeps): void {
  const { settings } = deps;
  const rule = originRule(settings);
  app.addHook('onRequest', (request, reply, done) => {
    const { origin } = request.headers;
    const allowed = origin === undefined ? 'none' : rule(origin, deps.guarded(request.raw));
    if (origin === undefined || allowed === 'none') return done();
    // On the raw reply: those that engines give are written past fastify's.
    reply.raw.setHeader('access-control-allow-origin', allowed === 'any' ? '*' : origin);
    reply.raw.setHeader('access-control-expose-headers', '*');
    if (allowed === 'this') reply.raw.setHeader('vary', 'origin');
    const methods = deps.methodsOf(request.url.split('?', 1)[0] ?? '');
    if (request.method !== 'OPTIONS' || request.headers['access-control-request-method'] === undefined || methods === undefined)
      return done();
    const asked = request.headers['access-control-request-headers'];
    reply.header('access-control-allow-methods', methods);
    if (asked !== undefined) reply.header('access-control-allow-headers', asked);
    if (request.headers['access-control-request-private-network'] === 'true') reply.header('access-control-allow-private-network', 'true');
    reply.header('access-control-max-age', settings.maxAgeS).status(204).send();
  });
}
