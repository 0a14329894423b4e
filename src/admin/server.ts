import fastify, { type FastifyInstance } from 'fastify';
import { Registry } from 'prom-client';
import { GatewayError, messageOf } from '../core/errors.ts';
import type { ModelReport } from '../supervisor/report.ts';
import { metricsPage } from './control-metrics.ts';

export interface AdminDeps {
  readonly host: string;
  readonly port: number;
  /** prom-client's JSON of each worker. */
  scrape(): Promise<readonly unknown[]>;
  status(): readonly ModelReport[];
}

/** The admin plane's HTTP server; never on the data port. */
export function buildAdmin({ scrape, status }: Pick<AdminDeps, 'scrape' | 'status'>): FastifyInstance {
  const app = fastify({ forceCloseConnections: true });
  app.get('/metrics', async (_request, reply) => {
    reply.type(Registry.PROMETHEUS_CONTENT_TYPE);
    return metricsPage(await scrape(), status());
  });
  app.get('/api/status', (_request, reply) => reply.send({ models: status() }));
  return app;
}

/** @throws GatewayError `port_in_use` */
export async function startAdmin(deps: AdminDeps): Promise<{ readonly port: number; close(): Promise<void> }> {
  const app = buildAdmin(deps);
  const { host, port } = deps;
  try {
    await app.listen({ host, port });
  } catch (error) {
    const inUse = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
    const message = inUse
      ? `${host}:${port} is in use by another process; stop it or set another port (gateway.admin.port).`
      : `Cannot listen on ${host}:${port}: ${messageOf(error)}.`;
    throw new GatewayError('port_in_use', message, { cause: error });
  }
  const address = app.server.address();
  return { port: typeof address === 'object' && address !== null ? address.port : port, close: () => app.close() };
}
