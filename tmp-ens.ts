import { storesForTests } from './setup/stores/stores.ts';
console.log(await storesForTests(process.env, true, new AbortController().signal));
