import { noLimits } from '../../src/core/access.ts';
import { GatewayError } from '../../src/core/errors.ts';
import { Gate } from '../../src/gateway/auth/gate.ts';
import { percentile } from '../measure/statistics.ts';
import { keyAt, keyText } from './configured.ts';

export const samples = 100_000;
/** Of Welch's t, as tests for leaks through time have it. */
export const threshold = 4.5;

/** Of one piece, as the HTTP parser makes them: putting one together takes time too. */
const flat = (text: string): string => Buffer.from(text).toString('latin1');

/** Another letter for each last digit: as many texts as there are keys, for fewer would be in the processor's cache. */
const wrongAtEnd = (key: string): string => key.slice(0, -1) + 'abcdefghij'.charAt(Number(key.slice(-1)));

/**
 * Whether the time of a refusal shows how much of a wrong key was right: Welch's t of keys whose last character is wrong against keys whose
 * first one is, in random order, without the slowest tenth, when something else ran.
 */
export function toldApart(keys: number): number {
  const gate = new Gate({ keys: Array.from({ length: keys }, (_, at) => keyAt(at, noLimits)) }, () => 0);
  const isNear = Array.from({ length: samples }, () => Math.random() < 0.5);
  const headers = isNear.map((near, at) => {
    const text = keyText(at % keys);
    return { authorization: flat(`Bearer ${near ? wrongAtEnd(text) : `x${text.slice(1)}`}`) };
  });
  const times = headers.map((one) => {
    const began = process.hrtime.bigint();
    try {
      gate.admit(one, '');
    } catch (error) {
      if (error instanceof GatewayError) return Number(process.hrtime.bigint() - began);
      throw error;
    }
    throw new Error('a wrong key was admitted');
  });
  // The first ones are still being compiled.
  const from = samples / 10;
  const slow = percentile(times.slice(from), 0.9);
  const of = (near: boolean): number[] => times.filter((time, at) => at >= from && time <= slow && isNear[at] === near);
  return welch(of(true), of(false));
}

function welch(one: readonly number[], other: readonly number[]): number {
  const [a, b] = [moments(one), moments(other)];
  return (a.mean - b.mean) / Math.sqrt(a.variance / one.length + b.variance / other.length);
}

function moments(values: readonly number[]): { readonly mean: number; readonly variance: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return { mean, variance: values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1) };
}
