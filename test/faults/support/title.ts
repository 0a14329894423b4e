import { faultOf, type RowNumber } from './catalogue.ts';

/** The name of a row's test. */
export const titleOf = (number: RowNumber): string => `row ${number}: ${faultOf(number).happens}`;

/** The row that a test's name tells of. */
export function numberOf(title: string): RowNumber | undefined {
  const number = /^row (\d+): /.exec(title)?.[1];
  return number === undefined ? undefined : (Number(number) as RowNumber);
}
