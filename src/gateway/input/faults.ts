import { GatewayError } from '../../core/errors.ts';
import { type InputLimits, limitKey } from '../../core/input-limits.ts';

/** A parameter asks for more than a limit of the model's allows. `asked`: how much, in words. */
export function overLimit(param: string, asked: string, limit: keyof InputLimits, limits: InputLimits): GatewayError {
  return new GatewayError('param_too_large', `'${param}' ${asked}; at most ${limits[limit]} (gateway.limits.${limitKey(limit)}).`, {
    param,
  });
}

/** A parameter that clients may not use. */
export function notForClients(param: string, because: string): GatewayError {
  return new GatewayError('param_refused', `'${param}' is not for clients: ${because} (gateway.allowed_params).`, { param });
}

/** A parameter's value is not what it must be. */
export function wrong(param: string, what: string): GatewayError {
  return new GatewayError('request_invalid', `'${param}' ${what}.`, { param });
}

/** What was sent, short enough for a message. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'undefined';
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
