# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Completion scripts match the parsers; each script runs in its shell, if installed."""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from viva_ros.cli import completion
from viva_ros.cli.completion import SHELLS, Command, CommandArgument, read_arguments

COMMANDS = [
    Command(
        'record', "the robot's [left] arm: 5 s",
        (
            CommandArgument(('-h', '--help'), 'show this', False, ()),
            CommandArgument(('--task',), "which 'one'", True, ('cube', 'tray')),
            CommandArgument(('-o', '--out'), 'a folder: [new]', True, ()),
        ),
    ),
    Command('up', 'start nodes', (CommandArgument((), '', True, ('demo', 'monitor')),)),
]  # fmt: skip


def completed(tmp_path: Path, *words: str) -> list[str]:
    """Return the completions of bash for the last word."""
    script = tmp_path / 'viva'
    script.write_text(SHELLS['bash'](COMMANDS))
    line = (
        '. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _viva; '
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    shown = subprocess.run(
        ['bash', '-uc', line, 'bash', script, 'viva', *words],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert not shown.stderr
    return shown.stdout.split()


def test_bash_completes_commands_options_and_choices(tmp_path):
    assert completed(tmp_path, '') == ['record', 'up']
    assert completed(tmp_path, 'rec') == ['record']
    assert completed(tmp_path, 'record', '--') == ['--help', '--task', '--out']
    assert completed(tmp_path, 'record', '--task', '') == ['cube', 'tray']
    assert completed(tmp_path, 'record', '--task', 't') == ['tray']
    assert completed(tmp_path, 'record', '--out', '') == []  # bash completes files
    assert completed(tmp_path, 'up', 'm') == ['monitor']


def test_bash_starts_no_python(tmp_path, monkeypatch):
    marker = tmp_path / 'started'
    for name in ('python', 'python3', 'viva'):
        program = tmp_path / 'bin' / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\ntouch {marker}\n')
        program.chmod(0o755)
    monkeypatch.setenv('PATH', f'{tmp_path / "bin"}:/usr/bin:/bin')
    assert completed(tmp_path, 'up', '') == ['demo', 'monitor']
    assert not marker.exists()


@pytest.mark.parametrize('shell', ['zsh', 'fish'])
def test_script_is_valid_in_its_shell(shell, tmp_path):
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f'{shell} is not installed')
    script = tmp_path / 'script'
    script.write_text(SHELLS[shell](COMMANDS))
    subprocess.run([program, '-n', script], check=True)


def test_fish_completes_commands_options_and_choices(tmp_path):
    program = shutil.which('fish')
    if program is None:
        pytest.skip('fish is not installed')
    script = tmp_path / 'viva.fish'
    script.write_text(SHELLS['fish'](COMMANDS))

    def completions(line: str) -> list[str]:
        code = f'source {script}; complete -C "{line}"'
        shown = subprocess.run([program, '-c', code], capture_output=True, text=True, check=True)
        return [row.partition('\t')[0] for row in shown.stdout.splitlines()]

    assert completions('viva ') == ['record', 'up']
    assert completions('viva record --task ') == ['cube', 'tray']
    assert set(completions('viva record --')) == {'--help', '--task', '--out'}
    assert completions('viva up ') == ['demo', 'monitor']


def test_zsh_describes_options_and_quotes_their_texts():
    script = SHELLS['zsh'](COMMANDS)
    assert "'--task[which '\"'\"'one'\"'\"']:value:(cube tray)'" in script
    assert "'--out[a folder\\: \\[new\\]]:value:_files'" in script
    assert "'*:argument:(demo monitor)'" in script


def test_options_are_those_of_the_parser(monkeypatch):
    def main(argv):
        parser = argparse.ArgumentParser()
        parser.add_argument('folder', nargs='+')
        parser.add_argument(
            '--rate', type=float, default=5.0, help='in Hz;\n default: %(default)s'
        )
        parser.add_argument('--plain', action='store_true', help='100 %% text')
        parser.parse_args(argv)
        raise AssertionError('the command was not ended')

    monkeypatch.setattr(completion, 'import_module', lambda name: SimpleNamespace(main=main))
    before = argparse.ArgumentParser.parse_args
    _, folder, rate, plain = read_arguments('any')
    assert folder == CommandArgument((), '', True, ())
    assert rate == CommandArgument(('--rate',), 'in Hz; default: 5.0', True, ())
    assert plain == CommandArgument(('--plain',), '100 % text', False, ())
    assert argparse.ArgumentParser.parse_args is before


def test_command_without_its_library_keeps_its_name(monkeypatch, capsys):
    def load(name):
        if name == 'viva_ros.cli.train':
            raise ModuleNotFoundError("No module named 'torch'", name='torch')
        return SimpleNamespace(main=lambda argv: argparse.ArgumentParser().parse_args(argv))

    monkeypatch.setattr(completion, 'import_module', load)
    assert completion.main(['bash']) == 0
    shown = capsys.readouterr()
    assert shown.err == (
        'viva completion: options of train are left out: torch is not installed\n'
    )
    assert ' train ' in shown.out


@pytest.mark.medium
def test_script_completes_the_real_commands():
    shown = subprocess.run(
        [sys.executable, '-P', '-m', 'viva_ros.cli.main', 'completion', 'bash'],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert ' doctor completion' in shown.stdout
    assert "up:*) words='monitor demo -h --help'" in shown.stdout
