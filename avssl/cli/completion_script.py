"""Completion scripts for shells, generated from the parsers of all commands."""

from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from avssl.cli.command import Command, HelpShown, flags_of
from avssl.cli.main import COMMANDS
from avssl.cli.reference import parts_of
from avssl.options.kinds import choices
from avssl.tasks.registry import BUILT_IN

Shell = Literal["bash", "zsh", "fish"]


@dataclass
class Words:
    """What may come, by what was typed: "train rotation" for a command and its task, or "search" alone.

    Attributes:
        parts: tasks or protocols by command, or the values of an argument that is given by its place.
        flags: by what was typed.
        values: by what was typed and the flag before, "train rotation --optimizer".
    """

    parts: dict[str, Sequence[str]] = field(default_factory=dict)
    flags: dict[str, Sequence[str]] = field(default_factory=dict)
    values: dict[str, Sequence[str]] = field(default_factory=dict)


def completion_script(shell: Shell) -> str:
    """The script of this shell."""
    words = _words()
    if shell == "fish":
        return _FISH.format(**_cases(words, '        case "{0}"\n            printf \'%s\' "{1}"\n', '" "'))
    return {"bash": _BASH, "zsh": _ZSH}[shell].format(**_cases(words, '        "{0}") found="{1}" ;;\n', '" | "'))


def _words() -> Words:
    found = Words()
    for name in COMMANDS:
        found.parts[name] = parts_of(name)
        found.flags[name] = ["--help"]
        for words in [[name, part] for part in parts_of(name)] or [[name]]:
            command = _command(words)
            typed = " ".join(words)
            options = [*command.options.values()]
            for part in BUILT_IN:
                options += command.options_of_part(part)
            found.flags[typed] = [flag for option in options for flag in flags_of(option)] + ["--help"]
            for option in options:
                known = choices(option.type)
                if known and option.positional:
                    found.parts[typed] = known
                elif known:
                    found.values |= {f"{typed} {flag}": known for flag in (option.flag, option.short) if flag}
    return found


def _command(words: Sequence[str]) -> Command:
    """The parser of a command: the one that prints its help."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            importlib.import_module(f"avssl.cli.{words[0]}").run([*words[1:], "--help"])
    except HelpShown as shown:
        return shown.command
    raise AssertionError(f"avssl {' '.join(words)} --help came from no parser")


def _cases(words: Words, case: str, between: str) -> dict[str, str]:
    """The tables of a script: one case for all keys that have the same words."""
    return {
        "commands": " ".join([*COMMANDS, "--help", "--version"]),
        "with_parts": " ".join(name for name in COMMANDS if parts_of(name)),
        "parts": _table({name: parts for name, parts in words.parts.items() if parts}, case, between),
        "flags": _table(words.flags, case, between),
        "values": _table(words.values, case, between),
    }


def _table(known: Mapping[str, Sequence[str]], case: str, between: str) -> str:
    keys: dict[str, list[str]] = {}
    for key, texts in known.items():
        keys.setdefault(" ".join(texts), []).append(key)
    return "".join(case.format(between.join(own), texts) for texts, own in keys.items()).rstrip("\n")


# What bash and zsh have in common: of $typed, $second (the word after it), $before and $current to $found.
_FIND = """    case " {with_parts} " in
        *" $typed "*) typed="$typed$second" ;;
    esac
    case "$typed" in
{parts}
    esac
    case "$typed $before" in
{values}
    esac
    case "$current" in
        -*)
            case "$typed" in
{flags}
            esac ;;
    esac
"""

_BASH = f"""# Completion of avssl for bash: source this file, or put it where bash-completion looks.
_avssl() {{{{
    local current="${{{{COMP_WORDS[COMP_CWORD]}}}}" before="${{{{COMP_WORDS[COMP_CWORD-1]}}}}"
    local typed="${{{{COMP_WORDS[1]}}}}" second="" found=""
    # Bash takes the = of --flag=value for a word.
    if [ "$current" = "=" ]; then
        current=""
    elif [ "$before" = "=" ]; then
        before="${{{{COMP_WORDS[COMP_CWORD-2]}}}}"
    fi
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W "{{commands}}" -- "$current"))
        return
    fi
    if [ "$COMP_CWORD" -gt 2 ]; then
        second=" ${{{{COMP_WORDS[2]}}}}"
    fi
{_FIND}    # Nothing: the shell completes files then.
    COMPREPLY=($(compgen -W "$found" -- "$current"))
}}}}
complete -o default -F _avssl avssl
"""

_ZSH = f"""#compdef avssl
# Completion of avssl for zsh: a file _avssl in a folder of fpath, or source this file after compinit.
_avssl() {{{{
    local current="$words[CURRENT]" before="$words[CURRENT-1]" typed="$words[2]" second="" found=""
    if [[ "$current" == --*=* ]]; then
        before="${{{{current%%=*}}}}"
        compset -P '*='
        current=""
    fi
    if (( CURRENT == 2 )); then
        compadd -- {{commands}}
        return
    fi
    if (( CURRENT > 3 )); then
        second=" $words[3]"
    fi
{_FIND}    if [[ -n "$found" ]]; then
        compadd -- ${{{{=found}}}}
    else
        _files
    fi
}}}}
if [[ "$funcstack[1]" == _avssl ]]; then
    _avssl "$@"
else
    compdef _avssl avssl
fi
"""

_FISH = """# Completion of avssl for fish: a file avssl.fish in ~/.config/fish/completions.
function __avssl_words
    set -l tokens (commandline -opc)
    set -l current (commandline -ct)
    set -l before $tokens[-1]
    set -l typed $tokens[2]
    set -l start ""
    if string match -qr -- '^--[^=]+=' $current
        set before (string split -m 1 = -- $current)[1]
        set start "$before="
    end
    if test (count $tokens) -eq 1
        string split " " -- "{commands}"
        return
    end
    if contains -- $typed {with_parts}; and test (count $tokens) -gt 2
        set typed "$typed $tokens[3]"
    end
    set -l found (__avssl_parts "$typed") (__avssl_values "$typed $before")
    if string match -q -- '-*' $current; and test -z "$start"
        set found (__avssl_flags "$typed")
    end
    if test -n "$found"
        for word in (string split " " -- $found)
            printf '%s\\n' $start$word
        end
    else
        __fish_complete_path $current
    end
end
function __avssl_parts
    switch $argv[1]
{parts}
    end
end
function __avssl_values
    switch $argv[1]
{values}
    end
end
function __avssl_flags
    switch $argv[1]
{flags}
    end
end
complete -c avssl -f -a "(__avssl_words)"
"""
