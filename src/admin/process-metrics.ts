import { readdirSync, readFileSync } from 'node:fs';
import { Counter, Gauge, Registry } from 'prom-client';

function openFiles(): number | undefined {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    // No /proc (macOS), or no descriptor left to look with.
    return undefined;
  }
}

function mostOpenFiles(): number | undefined {
  try {
    return Number(/^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1]);
  } catch {
    return undefined;
  }
}

/** The gateway's own process by Prometheus' common names, workers included, engines not; made anew at each scrape. */
export function processRegistry(): Registry {
  const registry = new Registry();
  const gauge = (name: string, help: string, value: number | undefined): void => {
    if (value !== undefined && Number.isFinite(value)) new Gauge({ name, help, registers: [registry] }).set(value);
  };
  gauge('process_open_fds', 'Number of open file descriptors.', openFiles());
  gauge('process_max_fds', 'Maximum number of open file descriptors.', mostOpenFiles());
  gauge('process_resident_memory_bytes', 'Resident memory size in bytes.', process.memoryUsage.rss());
  const { user, system } = process.cpuUsage();
  const cpu = new Counter({
    name: 'process_cpu_seconds_total',
    help: 'Total user and system CPU time spent in seconds.',
    registers: [registry],
  });
  cpu.inc((user + system) / 1e6);
  return registry;
}
