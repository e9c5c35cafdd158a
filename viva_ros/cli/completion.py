# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Print a script that completes commands, options and choices.

bash: `viva completion bash > ~/.local/share/bash-completion/completions/viva`
zsh: `viva completion zsh > "${fpath[1]}/_viva"`
fish: `viva completion fish > ~/.config/fish/completions/viva.fish`

The script starts no Python when TAB is pressed. Print it again after an update, or after
installing libraries; a command whose libraries are missing is completed without its options.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Final

from viva_ros.core.foreign_text import shown

SCRIPT_LENGTH: Final = 1 << 20  # characters of a script


@dataclass(frozen=True)
class CommandArgument:
    """
    An option, or a positional argument.

    :param flags: such as '-n', '--number'; empty for a positional argument
    :param text: help text
    :param choices: valid values; empty for a number, a text or a file
    """

    flags: tuple[str, ...]
    text: str
    takes_value: bool
    choices: tuple[str, ...]


@dataclass(frozen=True)
class Command:
    """A command with its arguments."""

    name: str
    text: str
    arguments: tuple[CommandArgument, ...]

    @property
    def options(self) -> list[CommandArgument]:
        """Return the arguments with flags."""
        return [argument for argument in self.arguments if argument.flags]

    @property
    def positional_choices(self) -> list[str]:
        """Return the choices of all positional arguments."""
        return [c for argument in self.arguments if not argument.flags for c in argument.choices]


class _ParserFoundError(Exception):
    """Ends a command when it parses its command line."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self.parser = parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        'viva completion', description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument('shell', choices=SHELLS, help='Shell of the script')
    args = parser.parse_args(argv)
    commands, without = read_commands()
    for name, library in without.items():
        print(
            f'viva completion: options of {shown(name)} are left out: {shown(library)} is not '
            'installed',
            file=sys.stderr,
        )
    print(shown(SHELLS[args.shell](commands), SCRIPT_LENGTH, lines=True), end='')
    return 0


def read_commands() -> tuple[list[Command], dict[str, str]]:
    """Return all commands, and the missing library of those without options."""
    from viva_ros.cli import COMMANDS

    found, without = [], {}
    for name, (module, text) in COMMANDS.items():
        try:
            arguments = read_arguments(module)
        except ImportError as error:
            arguments, without[name] = (), str(error.name)
        found.append(Command(name, text, arguments))
    return found, without


def read_arguments(module: str) -> tuple[CommandArgument, ...]:
    """
    Return the arguments of the first parser of a command.

    :param module: name of a module with ``main(argv)``, which is ended when it parses
    """

    def stop(parser: argparse.ArgumentParser, *_: object, **__: object) -> argparse.Namespace:
        raise _ParserFoundError(parser)

    original = argparse.ArgumentParser.parse_args
    argparse.ArgumentParser.parse_args = stop  # type: ignore[assignment, method-assign]
    try:
        import_module(module).main([])
    except _ParserFoundError as found:
        return tuple(_argument(found.parser, action) for action in found.parser._actions)
    finally:
        argparse.ArgumentParser.parse_args = original  # type: ignore[method-assign]
    raise TypeError(f'{module}.main does not parse a command line')


def _argument(parser: argparse.ArgumentParser, action: argparse.Action) -> CommandArgument:
    text = '' if action.help in (None, argparse.SUPPRESS) else action.help
    if text:
        text = parser._get_formatter()._expand_help(action)
    return CommandArgument(
        tuple(action.option_strings), ' '.join((text or '').split()), action.nargs != 0,
        tuple(map(str, action.choices or ())),
    )  # fmt: skip


def bash(commands: Sequence[Command]) -> str:
    """Return the script for bash; a value without choices is completed as a file."""
    lines = ['# Completion of viva for bash, made by: viva completion bash', '_viva() {']
    lines += ['  local current=${COMP_WORDS[COMP_CWORD]} words=', '  COMPREPLY=()']
    lines += ['  if [ "$COMP_CWORD" = 1 ]; then']
    lines += [f'    words={shlex.quote(" ".join(c.name for c in commands))}', '  else']
    lines += ['    case ${COMP_WORDS[1]}:${COMP_WORDS[COMP_CWORD-1]} in']
    for command in commands:
        for choices in dict.fromkeys(o.choices for o in command.options if o.takes_value):
            flags = [f'{command.name}:{flag}' for flag in _flags(command, choices)]
            lines.append(f'      {"|".join(flags)}) words={shlex.quote(" ".join(choices))} ;;')
    lines += [
        f'      {c.name}:*) words={shlex.quote(" ".join([*c.positional_choices, *_flags(c)]))} ;;'
        for c in commands
    ]
    lines += ['    esac', '  fi', '  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")']
    return '\n'.join([*lines, '}', 'complete -o bashdefault -o default -F _viva viva', ''])


def _flags(command: Command, choices: tuple[str, ...] | None = None) -> list[str]:
    """Return all flags of a command, or those of the options whose value has these choices."""
    options = command.options
    if choices is not None:
        options = [o for o in options if o.takes_value and o.choices == choices]
    return [flag for option in options for flag in option.flags]


def zsh(commands: Sequence[Command]) -> str:
    """Return the script for zsh, with descriptions."""
    lines = ['#compdef viva', '# Completion of viva for zsh, made by: viva completion zsh']
    lines += ['local -a commands', 'commands=(']
    lines += [f'  {shlex.quote(f"{c.name}:{c.text}")}' for c in commands]
    lines += [')', 'if (( CURRENT == 2 )); then _describe command commands; return; fi']
    lines += ['local command=${words[2]}', 'shift words; (( CURRENT-- ))', 'case $command in']
    for command in commands:
        specs = [
            f'{flag}[{_zsh_text(option.text)}]' + _zsh_value(option) * option.takes_value
            for option in command.options
            for flag in option.flags
        ]
        choices = command.positional_choices
        specs.append(f'*:argument:({" ".join(choices)})' if choices else '*:file:_files')
        lines.append(f'  {command.name}) _arguments {" ".join(map(shlex.quote, specs))} ;;')
    return '\n'.join([*lines, 'esac', ''])


def _zsh_text(text: str) -> str:
    for letter in '\\[]:':
        text = text.replace(letter, '\\' + letter)
    return text


def _zsh_value(option: CommandArgument) -> str:
    return f':value:({" ".join(option.choices)})' if option.choices else ':value:_files'


def fish(commands: Sequence[Command]) -> str:
    """Return the script for fish, with descriptions."""
    lines = ['# Completion of viva for fish, made by: viva completion fish']
    for c in commands:
        lines.append(
            f'complete -c viva -f -n __fish_use_subcommand -a {c.name} -d {_fish_text(c.text)}'
        )
        prefix = f"complete -c viva -n '__fish_seen_subcommand_from {c.name}'"
        if c.positional_choices:
            lines.append(f'{prefix} -f -a {_fish_text(" ".join(c.positional_choices))}')
        for option in c.options:
            flags = ' '.join(_fish_flag(flag) for flag in option.flags)
            value = _fish_value(option) * option.takes_value
            lines.append(f'{prefix} {flags}{value} -d {_fish_text(option.text)}')
    return '\n'.join([*lines, ''])


def _fish_flag(flag: str) -> str:
    return f'-l {flag[2:]}' if flag.startswith('--') else f'-s {flag[1:]}'


def _fish_value(option: CommandArgument) -> str:
    return f' -x -a {_fish_text(" ".join(option.choices))}' if option.choices else ' -r -F'


def _fish_text(text: str) -> str:
    return "'" + text.replace('\\', '\\\\').replace("'", "\\'") + "'"


SHELLS = {'bash': bash, 'zsh': zsh, 'fish': fish}
