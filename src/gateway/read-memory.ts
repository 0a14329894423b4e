import type { OnReadOpts, Socket } from 'node:net';

/** As much as libuv reads at a time. */
const readBytes = 64 * 1024;

const memory = Buffer.allocUnsafeSlow(readBytes);

/**
 * For `net.connect`: all sockets of this thread read into the same memory, and what came is copied into Node's pool. Node's own way asks for
 * 64 KB at each read and gives back what was not needed: what lives on, such as a connection, comes to stand in the holes of that, and the
 * process's memory grows by twice what is in use.
 */
export const readMemory: OnReadOpts = {
  buffer: memory,
  callback(this: Socket, length: number): boolean {
    const piece = Buffer.allocUnsafe(length);
    memory.copy(piece, 0, 0, length);
    return this.push(piece);
  },
};
