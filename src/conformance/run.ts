import { messageOf } from '../core/errors.ts';
import { otherScenarios } from './other-scenarios.ts';
import type { Outcome, Scenario, Subject } from './scenario.ts';
import { structureScenarios } from './structure-scenarios.ts';
import { textScenarios } from './text-scenarios.ts';

/** All that is asked of a model behind the gateway, in the order in which it is asked. */
export const scenarios: readonly Scenario[] = [...textScenarios, ...structureScenarios, ...otherScenarios];

export interface ScenarioResult {
  readonly name: string;
  readonly title: string;
  readonly required: boolean;
  readonly kind: Outcome['kind'];
  readonly detail: string;
  /** How long it took, in milliseconds. */
  readonly ms: number;
}

/**
 * Runs scenarios one after the other. A request without a whole reply is that scenario's failure, and the next one is run.
 * @param obligatory names that count as required although the list does not say so
 */
export async function runScenarios(
  subject: Subject,
  chosen: readonly Scenario[],
  obligatory: ReadonlySet<string>,
  onResult: (result: ScenarioResult) => void,
): Promise<readonly ScenarioResult[]> {
  const results: ScenarioResult[] = [];
  for (const scenario of chosen) {
    const began = subject.clock.now();
    const outcome = await runOne(scenario, subject);
    const { name, title } = scenario;
    const required = scenario.required || obligatory.has(name);
    const result = { name, title, required, ...outcome, ms: Math.round(subject.clock.now() - began) };
    results.push(result);
    onResult(result);
  }
  return results;
}

async function runOne(scenario: Scenario, subject: Subject): Promise<Outcome> {
  try {
    return await scenario.run(subject);
  } catch (error) {
    return { kind: 'fails', detail: `no whole reply: ${messageOf(error)}` };
  }
}

/** Whether something that should work does not. What was made obligatory must have been seen to work. */
export function passed(results: readonly ScenarioResult[], obligatory: ReadonlySet<string>): boolean {
  return results.every(({ name, required, kind }) => (obligatory.has(name) ? kind === 'works' : kind !== 'fails' || !required));
}
