import { executionAsyncResource } from 'node:async_hooks';

/**
 * One of the objects that Node.js makes for each `process.nextTick`, of which a request takes about ten; kept for its shape alone. They have
 * computed keys, whose shape V8 forgets in full collections that meet none of them: from then on, as long as the thread lives, each tick
 * costs 240 ns more (Node.js 24.21). To be imported before the modules whose loading may bring such collections.
 */
export const keptTick = new Promise<{ readonly tick: object }>((resolve) => {
  process.nextTick(() => resolve({ tick: executionAsyncResource() }));
});
