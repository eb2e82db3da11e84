"""`shipway completion`: a script that completes commands, options and their values in bash, zsh or fish, made from the parser itself."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field

from flows.commands import _output

HELP = "Print a script that completes commands and options in your shell."
USES = {
    "bash": "# In ~/.bashrc: source <(shipway completion bash)",
    "zsh": "# In ~/.zshrc, after compinit: source <(shipway completion zsh)",
    "fish": "# In ~/.config/fish/config.fish: shipway completion fish | source",
}
ANY = "-"
VALUE = """\
_shipway_value() {  # says in REPLY what the option $2 of the command $1 takes: words, or - for any; fails if it takes nothing
  case "$1 $2" in
%s
    *) return 1 ;;
  esac
}
"""
PLACE = """\
_shipway_place() {  # says in REPLY which command the words are in
  local place= word skips=
  for word in "$@"; do
    if [ -n "$skips" ]; then skips=; continue; fi
    if _shipway_value "$place" "$word"; then skips=1; continue; fi
    case "$place/$word" in %s) place="${place:+$place }$word" ;; esac
  done
  REPLY=$place
}
"""
BASH = """\
_shipway_words() {
  case "$1" in
%s
  esac
}
_shipway() {
  local REPLY place current=${COMP_WORDS[COMP_CWORD]}
  _shipway_place "${COMP_WORDS[@]:1:COMP_CWORD-1}"
  place=$REPLY
  if _shipway_value "$place" "${COMP_WORDS[COMP_CWORD-1]}"; then
    [ "$REPLY" = - ] && REPLY=
  else
    _shipway_words "$place"
    case $current in -*) ;; *) REPLY=" $REPLY"; REPLY=${REPLY%%%% -*} ;; esac
  fi
  COMPREPLY=($(compgen -W "$REPLY" -- "$current"))
}
complete -o default -F _shipway shipway
"""
ZSH = """\
_shipway_words() {
  case "$1" in
%s
  esac
}
_shipway() {
  local REPLY place
  local -a found
  _shipway_place "${(@)words[2,CURRENT-1]}"
  place=$REPLY
  if _shipway_value "$place" "$words[CURRENT-1]"; then
    if [[ $REPLY = - ]]; then _files; else compadd -- ${=REPLY}; fi
    return
  fi
  _shipway_words "$place"
  if [[ $PREFIX != -* ]]; then
    found=(${found:#-*})
    if (( ! $#found )); then _files; return; fi
  fi
  _describe -V shipway found
}
compdef _shipway shipway
"""


@dataclass(frozen=True)
class Option:
    """An option: its names, what it does, and what it takes: words, ANY, or nothing."""

    names: tuple[str, ...]
    does: str
    takes: str


@dataclass
class Place:
    """A command, or an action of one, such as `policy show`.

    Fields:
        name: Its words after `shipway`; "" for `shipway` itself.
        options: Its options.
        words: What may stand there with what that is: the commands below it, and the choices of its arguments.
        below: The commands below it.
    """

    name: str
    options: list[Option] = field(default_factory=list)
    words: dict[str, str] = field(default_factory=dict)
    below: list[Place] = field(default_factory=list)


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("shell", choices=sorted(USES), help="the shell; the script's first line says where it belongs")


def run(arguments: argparse.Namespace) -> int:
    """Print the script.

    Args:
        arguments: What `configure` described.

    Returns:
        0.
    """
    from flows.cli import build_parser

    _output.show(script(build_parser()[0], arguments.shell), end="")
    return 0


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """Write the script of a shell.

    Args:
        parser: Of all commands.
        shell: bash, zsh or fish.
    """
    places = list(_walk(_place(parser, "")))
    if shell == "fish":
        return "\n".join([USES[shell], "complete -c shipway -f", *_fish(places)]) + "\n"
    nested = "|".join(f'"{place.name}/{below.name.split()[-1]}"' for place in places for below in place.below)
    values = [
        f'    "{place.name} {name}") REPLY={_quoted(option.takes)} ;;'
        for place in places
        for option in place.options
        if option.takes
        for name in option.names
    ]
    words = _bash_words(places) if shell == "bash" else _zsh_words(places)
    last = (BASH if shell == "bash" else ZSH) % "\n".join(words)
    return "\n".join([USES[shell], VALUE % "\n".join(values) + PLACE % nested + last])


def _place(parser: argparse.ArgumentParser, name: str) -> Place:
    place = Place(name)
    for action in parser._actions:  # noqa: SLF001 - argparse has no other reader
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - the same
            told = {one.dest: one.help or "" for one in action._choices_actions}  # noqa: SLF001 - the same
            for word, below in action.choices.items():
                place.words[word] = told.get(word, "")
                place.below.append(_place(below, f"{name} {word}".strip()))
        elif action.option_strings:
            takes = "" if action.nargs == 0 else " ".join(map(str, action.choices or [ANY]))
            place.options.append(Option(tuple(action.option_strings), action.help or "", takes))
        else:
            place.words |= dict.fromkeys(map(str, action.choices or ()), "")
    return place


def _walk(place: Place) -> Iterator[Place]:
    yield place
    for below in place.below:
        yield from _walk(below)


def _bash_words(places: list[Place]) -> Iterator[str]:
    for place in places:
        names = [*place.words, *(name for option in place.options for name in option.names)]
        yield f'    "{place.name}") REPLY={_quoted(" ".join(names))} ;;'


def _zsh_words(places: list[Place]) -> Iterator[str]:
    for place in places:
        told = [*place.words.items(), *((name, option.does) for option in place.options for name in option.names)]
        yield f'    "{place.name}") found=({" ".join(_quoted(f"{word}:{does}") for word, does in told)}) ;;'


def _fish(places: list[Place]) -> Iterator[str]:
    for place in places:
        here = _fish_condition(place)
        for word, told in place.words.items():
            yield f"complete -c shipway -n {_quoted(here)} -a {_quoted(word)} -d {_quoted(told)}"
        if place.name and not place.words:
            yield f"complete -c shipway -n {_quoted(here)} -F"
        for option in place.options:
            names = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names)
            takes = "" if not option.takes else " -r -F" if option.takes == ANY else f" -x -a {_quoted(option.takes)}"
            yield f"complete -c shipway -n {_quoted(here)} {names}{takes} -d {_quoted(option.does)}"


def _fish_condition(place: Place) -> str:
    """Say in fish where a word belongs: behind the words of the place, and not yet behind one of those below it."""
    seen = [f"__fish_seen_subcommand_from {word}" for word in place.name.split()]
    below = [one.name.split()[-1] for one in place.below]
    left = [f"not __fish_seen_subcommand_from {' '.join(below)}"] if below else []
    return "; and ".join([*seen, *left]) or "true"


def _quoted(text: str) -> str:
    """Quote a text, which is ours, for all three shells."""
    return "'" + text.replace("'", "’").replace("\\", "/").replace("\n", " ") + "'"
