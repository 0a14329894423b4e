/** The numbers of replicas that were last wanted, by model, kept over gateways. */
export interface KeptTargets {
  read(): ReadonlyMap<string, number>;
  write(targets: ReadonlyMap<string, number>): void;
}
