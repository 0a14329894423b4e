/**
 * SGLang refuses to start under a name with a colon: in a request's `model` what follows it names an adapter. Such a name is served
 * percent-encoded, and names without a colon or percent sign as they are.
 */
export function toServedName(id: string): string {
  return id.replaceAll('%', '%25').replaceAll(':', '%3A');
}

/** The id that `toServedName` was given. */
export function fromServedName(name: string): string {
  return name.replaceAll('%3A', ':').replaceAll('%25', '%');
}
