import { print } from '../linux/output.ts';
import type { Input } from './parse.ts';
import { COMPLETE } from './table.ts';

/**
 * Each script hands the words typed so far to the `scow` that is being typed, and offers what comes
 * back: a line that says what kind of words are wanted, and then a word a line with what it is
 * about behind a tab.
 */
const SCRIPTS: Readonly<Record<string, string>> = {
  bash: `# bash completion for scow: put it into ~/.local/share/bash-completion/completions/scow,
# or try it with: source <(scow completion bash)
_scow() {
  local kind line
  COMPREPLY=()
  while IFS= read -r line; do
    if [[ -z $kind ]]; then
      kind=$line
    else
      COMPREPLY+=("\${line%%$'\\t'*}")
    fi
  done < <("\${COMP_WORDS[0]}" ${COMPLETE} bash "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  case $kind in
    files) compopt -o default ;;
    directories) compopt -o dirnames ;;
  esac
}
complete -F _scow scow
`,
  zsh: `#compdef scow
# zsh completion for scow: put it as _scow into a folder of $fpath,
# or try it with: source <(scow completion zsh)
_scow() {
  local kind line
  local -a lines offered
  lines=("\${(@f)$("\${(Q)words[1]}" ${COMPLETE} zsh "\${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
  kind=$lines[1]
  shift lines
  compset -P '-*='
  case $kind in
    files) _files ;;
    directories) _files -/ ;;
    *)
      for line in $lines; do
        offered+=("\${\${line//:/\\\\:}/$'\\t'/:}")
      done
      _describe scow offered
      ;;
  esac
}
if [ "$funcstack[1]" = _scow ]; then
  _scow "$@"
else
  compdef _scow scow
fi
`,
  fish: `# fish completion for scow: put it into ~/.config/fish/completions/scow.fish,
# or try it with: scow completion fish | source
function __scow_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l program $words[1]
    set -e words[1]
    set -l lines ($program ${COMPLETE} fish $words "$current" 2>/dev/null)
    set -l kind $lines[1]
    set -e lines[1]
    switch "$kind"
        case files
            __fish_complete_path "$current"
        case directories
            __fish_complete_directories "$current" ''
        case '*'
            printf '%s\\n' $lines
    end
end
complete -c scow -f -a '(__scow_complete)'
`,
};

export function run({ positionals }: Input): undefined {
  print(SCRIPTS[positionals[0] ?? ''] ?? '');
}
