import { createServer } from 'node:net';
import type { EngineFlags } from './flags.ts';

/** Listens on the ports that processes of a real engine talk over, for as long as this one lives. */
export async function takeInnerPorts({ innerPort, settings }: EngineFlags, onError: (error: Error) => void): Promise<void> {
  await Promise.all(
    Array.from({ length: settings.inner_ports }, (_, at) => {
      const server = createServer((socket) => socket.destroy());
      server.on('error', onError);
      server.unref();
      return new Promise<void>((resolve) => server.listen({ port: innerPort + at, host: '127.0.0.1' }, resolve));
    }),
  );
}
