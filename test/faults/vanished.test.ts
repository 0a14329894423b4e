import { once } from 'node:events';
import assert from 'node:assert/strict';
import { until } from '../support/until.ts';
import { farMachine, needsNetwork } from './support/far-machine.ts';
import { sumOf } from './support/oracles.ts';
import { model, patienceMs, row } from './support/row.ts';

row(
  71,
  async ({ t, start }) => {
    const machine = await farMachine(t);
    const streams = model('streams', { tokens: 1_000_000, tokens_per_s: 2000, text: 'x'.repeat(400) });
    const silent = model('silent', { prefill_s: 3600 });
    const more = { listen: { host: machine.host, port: 0 }, timeouts: { write_stall_s: 1, keepalive_s: 1 } };
    const gateway = await start([streams, silent], { more });
    const [streaming, working] = await Promise.all([gateway.engine('streams'), gateway.engine('silent')]);
    const messages = [{ role: 'user', content: 'one' }];
    gateway.sentByHand(2);
    const stream = machine.ask(`${gateway.url}/v1/chat/completions`, { model: 'streams', stream: true, messages });
    machine.ask(`${gateway.url}/v1/chat/completions`, { model: 'silent', messages });
    assert.ok(stream.stdout !== null);
    await once(stream.stdout, 'data');
    await until('the other one is at its engine', async () => (await working.state()).running === 1, patienceMs);
    await machine.vanish();
    const began = performance.now();
    for (const [what, engine] of [
      ['a stream', streaming],
      ['a reply that says nothing yet', working],
    ] as const) {
      await until(`${what}: its engine stops`, async () => (await engine.state()).aborted === 1, patienceMs);
      t.diagnostic(`${what}: felt ${((performance.now() - began) / 1000).toFixed(1)} s after the machine vanished`);
      const { running, open } = await engine.state();
      assert.deepEqual({ running, open }, { running: 0, open: 0 });
    }
    const counted = async (outcome: string): Promise<number> =>
      sumOf(await gateway.metrics(), 'roundhouse_requests_total', `outcome="${outcome}"`);
    await until(
      'both are counted',
      async () => (await counted('client_stalled')) === 1 && (await counted('client_closed')) === 1,
      patienceMs,
    );
  },
  { skip: await needsNetwork() },
);
