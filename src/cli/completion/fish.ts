import { type Arm, armsOf } from './arms.ts';
import type { VerbWords } from './words.ts';

/** A word that fish takes as it is. */
const quoted = (text: string): string => `'${text.replaceAll(/['\\]/g, String.raw`\$&`)}'`;

const cases = (arms: readonly Arm[], indent: string): string =>
  arms.map(({ keys, action }) => `${indent}case ${keys.map(quoted).join(' ')}\n${indent}    ${action}\n`).join('');

/** A completion script for fish 3. */
export function fishScript(program: VerbWords): string {
  const name = program.names[0] ?? '';
  const {
    steps,
    values,
    options,
    arguments: places,
  } = armsOf(program, {
    takeValue: 'set takes $word',
    files: '__fish_complete_path "$cur"',
    models: 'command "$program" complete-models -- $words 2>/dev/null',
    enter: (path) => `set verb ${quoted(path)}`,
    offer: (candidates) =>
      `printf '%s\\t%s\\n' ${candidates.map(({ word, description }) => `${quoted(word)} ${quoted(description)}`).join(' ')}`,
  });
  return `# fish completion of ${name}:
#   ${name} completion fish > ~/.config/fish/completions/${name}.fish
function __${name}_complete
    set -l verb ''
    set -l takes ''
    set -l count 0
    set -l words (commandline -opc)
    set -l cur (commandline -ct)
    set -l program (string replace -r '^~' "$HOME" -- $words[1])
    set -e words[1]
    for word in $words
        if test -n "$takes"
            set takes ''
            continue
        end
        switch "$verb:$word"
${cases(steps, '            ')}            case '*:-*'
            case '*'
                set count (math $count + 1)
        end
    end
    if test -n "$takes"
        switch "$verb:$takes"
${cases(values, '            ')}        end
    else if string match -q -- '-*' "$cur"
        switch "$verb"
${cases(options, '            ')}        end
    else
        switch "$verb:$count"
${cases(places, '            ')}        end
    end
end
complete -c ${name} -f -a '(__${name}_complete)'
`;
}
