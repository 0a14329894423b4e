type Environment = Readonly<Record<string, string | undefined>>;

/** Marks every process of a replica, however it detaches itself: this is how those that left the process group are found. */
export const markerName = 'ROUNDHOUSE_REPLICA';

const passed: ReadonlySet<string> = new Set([
  'PATH',
  'HOME',
  'USER',
  'LOGNAME',
  'SHELL',
  'LANG',
  'LANGUAGE',
  'TZ',
  'TMPDIR',
  'LD_LIBRARY_PATH',
  'DYLD_LIBRARY_PATH',
  'CUDA_HOME',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'REQUESTS_CA_BUNDLE',
  'CURL_CA_BUNDLE',
  'NODE_EXTRA_CA_CERTS',
  // What an engine fetches its model from the hub with.
  'HF_TOKEN',
  'HF_HOME',
  'HF_HUB_CACHE',
  'HF_ENDPOINT',
  'HF_HUB_OFFLINE',
  'HF_HUB_ENABLE_HF_TRANSFER',
  'HF_XET_HIGH_PERFORMANCE',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'NO_PROXY',
  'ALL_PROXY',
  'http_proxy',
  'https_proxy',
  'no_proxy',
  'all_proxy',
]);

function isPassed(name: string): boolean {
  return passed.has(name) || name.startsWith('LC_') || name.startsWith('XDG_');
}

/** Names of what an engine inherits of the gateway's own environment. */
export function inheritedNames(own: Environment): readonly string[] {
  return Object.keys(own).filter((name) => isPassed(name) && own[name] !== undefined);
}

/**
 * An engine's whole environment. From the gateway's own only what is on an allow-list: every option of some engines has an environment
 * variable, so that one left in a shell would silently change an engine, and the gateway's secrets are none of its business.
 * @param model `runtime_env.env_vars` of the model.
 * @param engine what the engine's plugin needs, its key among it; wins over `model`.
 */
export function engineEnvironment(own: Environment, model: Environment, engine: Environment, replica: string): Record<string, string> {
  const layers = [inheritedNames(own).map((name) => [name, own[name]] as const), Object.entries(model), Object.entries(engine)];
  const merged: Record<string, string> = {};
  for (const [name, value] of layers.flat()) if (value !== undefined) merged[name] = value;
  // Python's setproctitle writes over the environment of its process, and so over the marker, unless told not to.
  return { ...merged, SPT_NOENV: '1', [markerName]: replica };
}
