/** Why a row that needs namespaces or mounts cannot run here; false where it can. */
export const needsRoot: string | false =
  process.platform === 'linux' && process.getuid?.() === 0 ? false : 'it needs Linux and root: namespaces, mounts, limits';
