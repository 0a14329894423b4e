import type { Fault } from './catalogue.ts';

/** Models that are brought from a store. */
export const modelFiles = {
  133: {
    happens: 'connections to the store are cut in the middle',
    holds: 'each goes on with the byte where it stopped, by range and ETag; at most 1.05 times the bytes',
  },
  134: {
    happens: 'the object is replaced while it is fetched',
    holds: 'it is listed and fetched anew; bytes of two versions never meet in a file',
  },
  135: {
    happens: 'a byte is flipped on its way; or the file is damaged in the store',
    holds: 'found by a digest or by its header; fetched once more, then `artifact_unavailable`',
  },
  136: {
    happens: 'the disk has no room for the model; or fills up meanwhile',
    holds: 'foreseen (size and 5 %) before a byte is fetched; survived, with nothing left behind',
  },
  137: { happens: 'three replicas and a second gateway want one model', holds: 'one download; the others wait for it' },
  138: {
    happens: 'kill -9 of the gateway at any point of a download',
    holds: 'nothing half-made is ever shown; the next start goes on; at most 1.1 times the bytes',
  },
  139: {
    happens: 'a bucket lists `../../etc/passwd`, absolute paths, backslashes, NUL, `CON`, a name of 5 KB',
    holds: 'refused before anything is fetched',
  },
  140: { happens: 'a symlink is planted in the cache', holds: 'never followed: a file is made anew, a directory is refused' },
  141: {
    happens: 'the store says 403, 404, wrong region, 503, expired, or that the clock is wrong',
    holds: 'a message and a remedy for each; only 503 is tried again',
  },
  142: { happens: '`s3://anonymous@bucket/…`', holds: 'no request is signed' },
  143: {
    happens: 'thousands of objects, an empty one, one of many parts',
    holds: 'all are listed, page by page, and fetched; the large one in parts',
  },
  144: { happens: 'a connection to the store goes silent', holds: 'given up after 60 s, and gone on from where it stopped' },
  145: {
    happens: 'the cache is full, and what is in it is in use',
    holds: 'never taken away; the least recently used goes once it is free',
  },
  146: {
    happens: 'a model comes as pickle, or with code of its own (`auto_map`)',
    holds: 'refused unless `trust_remote_code` is true; also when it is here already',
  },
  147: {
    happens: 'a store that speaks S3 and does not know the SDK’s checksums',
    holds: 'no transfer asks for one: only a HEAD of each large object does, and what the store does not tell is not missed',
  },
} as const satisfies Record<number, Fault>;
