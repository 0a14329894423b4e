import { renameSync, rmSync, writeFileSync } from 'node:fs';

/** Replaces a file of the owner's alone (mode 0600) as a whole: nobody ever reads half of it. @throws what the file system says */
export function replaceFile(file: string, text: string): void {
  const fresh = `${file}.new`;
  try {
    writeFileSync(fresh, text, { mode: 0o600 });
    renameSync(fresh, file);
  } catch (thrown) {
    rmSync(fresh, { force: true });
    throw thrown;
  }
}
