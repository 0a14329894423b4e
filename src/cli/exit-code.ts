/** What the process ends with. A second signal while draining ends it with 128 + the signal's number, as shells expect. */
export const exitCode = { ok: 0, failure: 1, usage: 2, alreadyRunning: 3, configInvalid: 4, interrupted: 130, terminated: 143 } as const;
export type ExitCode = (typeof exitCode)[keyof typeof exitCode];
