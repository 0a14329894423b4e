import type { Arm } from './arms.ts';

/** A word that bash and zsh take as it is. */
export function singleQuoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/** The branches of a `case`, each on a line. */
export function caseArms(arms: readonly Arm[]): string {
  return arms.map(({ keys, action }) => `      ${keys.map(singleQuoted).join('|')}) ${action} ;;\n`).join('');
}
