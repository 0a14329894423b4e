import { referenceOf, options, storeIn } from './model-store.ts';

/** A process that brings one model here, to be killed: `node fetch-model.ts ROOT REFERENCE`. Prints where the model is. */
const [, , root = '', reference = ''] = process.argv;
const lease = await storeIn(root).fetch(referenceOf(reference), options(process.env));
process.stdout.write(`${lease.path}\n`);
lease.release();
