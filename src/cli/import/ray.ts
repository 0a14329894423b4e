import type { Document } from 'yaml';
import { finish, type Imported, takeOut } from './imported.ts';

/** A file of Ray Serve LLM without what has no effect here; comments stay. It would run as it is, too: this makes it say less. */
export function importRay(document: Document): Imported {
  return finish(document, 'Ray Serve LLM', takeOut(document));
}
