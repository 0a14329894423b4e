/** Process entry of the load generator: takes `ToGenerator` orders over its IPC channel, ends with it. */
import { closedLoop } from './closed-loop.ts';
import { firstEvents, latencies } from './latency.ts';
import type { FromGenerator, ToGenerator } from './messages.ts';
import { StreamSet } from './stream-set.ts';

function main(): void {
  let streams: StreamSet | undefined;

  async function obey(order: ToGenerator): Promise<FromGenerator> {
    switch (order.kind) {
      case 'closed-loop':
        return closedLoop(order);
      case 'latency':
        return latencies(order);
      case 'first-events':
        return firstEvents(order);
      case 'open-streams':
        streams = new StreamSet(order);
        await streams.opened;
        return streams.count();
      case 'count-events':
        return streams?.count() ?? { kind: 'events', events: 0, failures: ['no streams are open'] };
      case 'close-streams': {
        const last = streams?.close();
        streams = undefined;
        return last ?? { kind: 'events', events: 0, failures: ['no streams are open'] };
      }
    }
  }

  process.on('message', (order: ToGenerator) => {
    void obey(order).then((answer) => process.send?.(answer));
  });
  process.on('disconnect', () => process.exit());
}

main();
