/** A worker thread that answers the probes of any number of replicas, on every loopback address. */
import { createServer } from 'node:http';
import { parentPort, workerData } from 'node:worker_threads';

const { model } = workerData as { readonly model: string };
const card = JSON.stringify({ object: 'list', data: [{ id: model, object: 'model' }] });
const server = createServer((request, response) => response.end(request.url === '/v1/models' ? card : 'ok'));
server.keepAliveTimeout = 60_000;
server.listen(0, '0.0.0.0', () => {
  const address = server.address();
  parentPort?.postMessage(typeof address === 'object' && address !== null ? address.port : undefined);
});
