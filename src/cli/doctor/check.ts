/** One line of the doctor's report. */
export interface Check {
  /** What was looked at, e.g. `open files`. */
  readonly name: string;
  readonly level: 'ok' | 'warning' | 'failure';
  readonly message: string;
  /** What to do; for warnings and failures. */
  readonly remedy?: string;
}

export const ok = (name: string, message: string): Check => ({ name, level: 'ok', message });
export const warning = (name: string, message: string, remedy: string): Check => ({ name, level: 'warning', message, remedy });
export const failure = (name: string, message: string, remedy: string): Check => ({ name, level: 'failure', message, remedy });

/** Bytes as people read them: `1.5 GiB`. */
export function gib(bytes: number): string {
  const value = bytes / 1_073_741_824;
  return `${value < 10 ? value.toFixed(1) : value.toFixed(0)} GiB`;
}
