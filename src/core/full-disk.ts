/** Whether a system call found a disk full, or what its user may have of it. */
export function isForWantOfRoom(thrown: unknown): boolean {
  const code = (thrown as NodeJS.ErrnoException | undefined)?.code;
  return code === 'ENOSPC' || code === 'EDQUOT';
}
