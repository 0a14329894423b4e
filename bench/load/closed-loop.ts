import { chatBody } from './bodies.ts';
import { Connection, postRequest } from './connection.ts';
import type { FromGenerator, ToGenerator } from './messages.ts';

/** Time beyond the end of the run in which the last replies must arrive. */
const graceMs = 10_000;

/** Keeps every connection busy until the time is over, then waits for the replies that are still due. */
export function closedLoop(order: Extract<ToGenerator, { kind: 'closed-loop' }>): Promise<FromGenerator> {
  const request = postRequest(order.port, '/v1/chat/completions', chatBody(order.body));
  const started = performance.now();
  const failures: string[] = [];
  let answered = 0;
  return new Promise((resolve) => {
    const open = new Set<Connection>();
    const leave = (connection: Connection): void => {
      connection.close();
      open.delete(connection);
      if (open.size > 0) return;
      clearTimeout(watchdog);
      resolve({ kind: 'requests', answered, elapsedMs: performance.now() - started, failures });
    };
    const watchdog = setTimeout(() => {
      for (const connection of open) {
        failures.push(`no reply within ${graceMs} ms after the run`);
        leave(connection);
      }
    }, order.durationMs + graceMs);
    for (let count = 0; count < order.connections; count += 1) {
      const connection: Connection = new Connection(order.port, {
        replied: (status) => {
          if (status === 200) answered += 1;
          else failures.push(`status ${status}`);
          if (performance.now() - started < order.durationMs && failures.length < 100) connection.send(request);
          else leave(connection);
        },
        lost: (reason) => {
          failures.push(reason);
          leave(connection);
        },
      });
      open.add(connection);
      connection.send(request);
    }
  });
}
