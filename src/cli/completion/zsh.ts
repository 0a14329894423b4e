import { armsOf, type Candidate } from './arms.ts';
import { caseArms, completeHere, singleQuoted } from './posix.ts';
import type { VerbWords } from './words.ts';

/** For `_describe`: a colon ends the word and begins its description. */
function described({ word, description }: Candidate): string {
  return singleQuoted(`${word.replaceAll(':', String.raw`\:`)}${description === '' ? '' : `:${description}`}`);
}

/** A completion script for zsh 5: to be evaluated after `compinit`, or put into a file `_gateway` on fpath. */
export function zshScript(program: VerbWords): string {
  const name = program.names[0] ?? '';
  const arms = armsOf(program, {
    takeValue: 'takes=$word',
    files: '_files',
    models: `_${name}_models`,
    enter: (path) => `verb=${singleQuoted(path)}`,
    offer: (candidates) =>
      `found=(${candidates.map(described).join(' ')}); _describe ${candidates[0]?.word.startsWith('-') ? '-o option' : 'command'} found`,
  });
  return `#compdef ${name}
# zsh completion of ${name}: put into ~/.zshrc, after compinit
#   eval "$(${name} completion zsh)"
_${name}() {
  local verb='' takes='' word
  local -i count=0 at
  local -a found
  for ((at = 2; at < CURRENT; at++)); do
    word=\${(Q)words[at]}
    if [[ -n $takes ]]; then takes=''; continue; fi
    case "$verb:$word" in
${caseArms(arms.steps)}      *:-*) ;;
      *) (( count += 1 )) ;;
    esac
  done
${completeHere(arms, '$PREFIX')}}
_${name}_models() {
  local program=\${(Q)words[1]}
  found=("\${(@f)$("\${program/#\\~/$HOME}" complete-models -- "\${(@Q)words[2,-1]}" 2>/dev/null)}")
  compadd -a found
}
if [[ $funcstack[1] == _${name} ]]; then _${name} "$@"; else compdef _${name} ${name}; fi
`;
}
