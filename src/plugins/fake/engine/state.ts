import type { Adapters } from './adapters.ts';
import type { Faults } from './faults.ts';
import type { Journal } from './journal.ts';
import type { Slots } from './slots.ts';

/** What the parts of the engine process share. */
export interface EngineState {
  readonly servedName: string;
  /** Key that requests must bear; undefined: none is asked for. */
  readonly apiKey: string | undefined;
  readonly faults: Faults;
  readonly slots: Slots;
  readonly journal: Journal;
  readonly adapters: Adapters;
  readonly random: () => number;
  /** Process ids of the children that `fork` and `daemonise` asked for. */
  readonly workers: readonly number[];
  readonly daemon: number | undefined;
  /** The model is loaded. */
  ready: boolean;
  /** Generation requests are refused while it sleeps. */
  asleep: boolean;
  /** Generation requests accepted and not yet ended, whether or not their client is still there. */
  open: number;
  /** Ends a generation, by its id: for engines that are told so. */
  readonly byName: Map<string, () => void>;
  /** Aborted when generations still open must end, because the engine does. */
  readonly ending: AbortSignal;
  /** Ends the process at once with `exit_code`, as a crash does. */
  readonly crash: () => never;
  /** Told when the last open generation has ended. */
  onIdle: () => void;
  readonly endWorkers: () => void;
}
