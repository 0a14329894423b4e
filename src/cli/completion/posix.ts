import type { Arm, Arms } from './arms.ts';

/** A word that bash and zsh take as it is. */
export function singleQuoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/** The branches of a `case`, each on a line. */
export function caseArms(arms: readonly Arm[]): string {
  return arms.map(({ keys, action }) => `      ${keys.map(singleQuoted).join('|')}) ${action} ;;\n`).join('');
}

/** The end of a completion function of bash or zsh: what may stand where the cursor is. `current`: the word there. */
export function completeHere({ values, options, arguments: places }: Arms, current: string): string {
  return `  if [[ -n $takes ]]; then
    case "$verb:$takes" in
${caseArms(values)}    esac
  elif [[ ${current} == -* ]]; then
    case "$verb" in
${caseArms(options)}    esac
  else
    case "$verb:$count" in
${caseArms(places)}    esac
  fi
`;
}
