import { type Document, isMap } from 'yaml';
import { fit } from '../../config/fit.ts';
import { formatPath, type ConfigPath } from '../../config/problems.ts';
import { fileSchema } from '../../config/schema.ts';

/** A config that stands for another program's, and what of that has no counterpart. */
export interface Imported {
  /** YAML. */
  readonly text: string;
  /** `what: why`, in the order of the file. */
  readonly left: readonly string[];
}

/**
 * Takes out of a config what has no effect, or no meaning, in it; what will have an effect in a later version stays.
 * @returns what was taken out, and why.
 */
export function takeOut(document: Document): readonly string[] {
  const gone: { readonly path: ConfigPath; readonly message: string }[] = [];
  fit(fileSchema, document.toJS(), [], {
    problem: (path, message) => void gone.push({ path, message }),
    warning: (path, message) => {
      if (message.startsWith('accepted, no effect here')) gone.push({ path, message: message.replace('accepted, ', '') });
    },
  });
  // From the end, so that no index of a list moves under another.
  for (const { path } of gone.toReversed()) {
    document.deleteIn(path);
    dropIfEmpty(document, path.slice(0, -1));
  }
  return gone.map(({ path, message }) => `${formatPath(path)}: ${message}`);
}

/** A mapping whose only key went says nothing. */
function dropIfEmpty(document: Document, path: ConfigPath): void {
  const node = path.length === 0 ? undefined : document.getIn(path, true);
  if (!isMap(node) || node.items.length > 0) return;
  document.deleteIn(path);
  dropIfEmpty(document, path.slice(0, -1));
}

/** With a comment on top that says where it came from, and what did not come along. */
export function finish(document: Document, from: string, left: readonly string[]): Imported {
  const rest = left.length === 0 ? [] : [' Without a counterpart:', ...left.map((line) => `   ${line}`)];
  const notes = [` From a config of ${from}.`, ...rest].join('\n');
  document.commentBefore = [notes, document.commentBefore].filter((part) => typeof part === 'string' && part !== '').join('\n\n');
  return { text: document.toString({ lineWidth: 0 }), left };
}
