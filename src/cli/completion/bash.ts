import { armsOf } from './arms.ts';
import { caseArms, completeHere, singleQuoted } from './posix.ts';
import type { VerbWords } from './words.ts';

/**
 * A completion script for bash 3.2 and newer. Words are split here and not taken from COMP_WORDS, which is cut at the colons of model
 * ids; what a gateway answers is compared and quoted, never expanded.
 */
export function bashScript(program: VerbWords): string {
  const name = program.names[0] ?? '';
  const arms = armsOf(program, {
    takeValue: 'takes=$word',
    files: `_${name}_files`,
    models: `_${name}_models`,
    enter: (path) => `verb=${singleQuoted(path)}`,
    offer: (candidates) => `_${name}_offer ${candidates.map(({ word }) => singleQuoted(word)).join(' ')}`,
  });
  return `# bash completion of ${name}: put into ~/.bashrc
#   eval "$(${name} completion bash)"
_${name}() {
  local line=\${COMP_LINE:0:COMP_POINT} verb='' takes='' count=0 at word cur
  local -a words
  COMPREPLY=()
  IFS=$' \\t' read -ra words <<< "$line"
  [[ $line == *[[:blank:]] ]] && words+=('')
  cur=\${words[\${#words[@]}-1]}
  for ((at = 1; at < \${#words[@]} - 1; at++)); do
    word=\${words[at]}
    if [[ -n $takes ]]; then takes=''; continue; fi
    case "$verb:$word" in
${caseArms(arms.steps)}      *:-*) ;;
      *) count=$((count + 1)) ;;
    esac
  done
${completeHere(arms, '$cur')}}
${actions(name)}complete -F _${name} ${name}
`;
}

/** What the branches call. */
function actions(name: string): string {
  return `_${name}_offer() {
  local candidate
  for candidate; do [[ $candidate == "$cur"* ]] && COMPREPLY+=("$candidate"); done
}
_${name}_files() {
  local candidate
  compopt -o filenames 2>/dev/null
  while IFS= read -r candidate; do COMPREPLY+=("$candidate"); done < <(compgen -f -- "$cur")
}
_${name}_models() {
  local candidate before=''
  # Of a word with colons, bash replaces what comes after the last one.
  [[ $cur == *:* && $COMP_WORDBREAKS == *:* ]] && before=\${cur%:*}:
  while IFS= read -r candidate; do
    [[ $candidate == "$cur"* ]] && COMPREPLY+=("$(printf %q "\${candidate#"$before"}")")
  done < <("\${words[0]/#\\~/$HOME}" complete-models -- "\${words[@]:1}" 2>/dev/null)
}
`;
}
