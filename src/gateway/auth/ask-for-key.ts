import type { IncomingMessage } from 'node:http';
import type { FastifyInstance } from 'fastify';
import type { AccessKey } from '../../core/access.ts';
import { prefixOf } from '../route-prefix.ts';
import type { Gate } from './gate.ts';
import type { Guesses } from './guesses.ts';

interface AdmittedMessage extends IncomingMessage {
  accessKey?: AccessKey;
}

/** What load balancers and probes ask, who have no key. */
const openRoutes: ReadonlySet<string | undefined> = new Set(['/health', '/ready']);

/**
 * Has every route of `app` ask for a key before it reads the body, but those of `openRoutes`, those that are not there (404), and
 * CORS preflights, which browsers send without one. `guesses` holds back addresses that have tried too many.
 */
export function askForKey(app: FastifyInstance, gate: () => Gate, guesses: Guesses | undefined): void {
  app.addHook('onRequest', (request, _reply, done) => {
    const { raw, method, is404, headers, routeOptions, socket } = request;
    if (is404 || method === 'OPTIONS' || openRoutes.has(routeOptions.url)) {
      done();
      return;
    }
    guesses?.check(socket.remoteAddress);
    try {
      const key = gate().admit(headers, prefixOf(raw));
      if (key !== undefined) (raw as AdmittedMessage).accessKey = key;
    } catch (error) {
      guesses?.failed(socket.remoteAddress);
      throw error;
    }
    done();
  });
}

/** The key by which a request was admitted; undefined where none was asked for. */
export function keyOf(raw: IncomingMessage): AccessKey | undefined {
  return (raw as AdmittedMessage).accessKey;
}
