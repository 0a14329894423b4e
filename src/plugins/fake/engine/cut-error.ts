/** Thrown after a connection was cut on purpose; nothing is left to be done for its request. */
export class CutError extends Error {
  override readonly name = 'CutError';
}
