import { z } from 'zod';
import { type ErrorCode, errorTable, GatewayError } from '../core/errors.ts';

const errorReply = z.object({ error: z.object({ code: z.string(), message: z.string() }) });

/** The error that a gateway's admin API answered with, as one of ours. */
export function adminError(status: number, body: unknown): GatewayError {
  const parsed = errorReply.safeParse(body);
  if (!parsed.success) return new GatewayError('internal_error', `The gateway answered ${status}: ${JSON.stringify(body)}`);
  const { code, message } = parsed.data.error;
  return new GatewayError(code in errorTable ? (code as ErrorCode) : 'internal_error', message);
}
