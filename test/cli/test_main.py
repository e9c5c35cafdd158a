# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import importlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from viva_ros.cli import main as cli
from viva_ros.console import program
from viva_ros.console.program import BROKEN_PIPE
from viva_ros.core.errors import RecordingError


@pytest.mark.parametrize('name', cli.COMMANDS)
def test_every_command_has_a_main_and_a_help_text(name: str, capsys) -> None:
    module = importlib.import_module(cli.COMMANDS[name][0])
    with pytest.raises(SystemExit) as ended:
        module.main(['--help'])
    assert ended.value.code == 0
    assert f'usage: viva {name}' in capsys.readouterr().out


def test_without_a_command_they_are_listed(capsys) -> None:
    assert cli.main([]) == 2
    shown = capsys.readouterr().out
    for name, (_, text) in cli.COMMANDS.items():
        assert name in shown
        assert text in shown


def test_an_unknown_command_is_answered_with_those_there_are(capsys) -> None:
    assert cli.main(['dance']) == 2
    assert "no command 'dance', must be one of demo, up, record" in capsys.readouterr().err


@pytest.mark.parametrize('name', cli.MOVED)
def test_former_command_names_the_new_one(name: str, capsys) -> None:
    assert cli.main([name, '--help']) == 2
    said = capsys.readouterr().err
    assert said == (
        f'viva {name}: moved out of the package; in a checkout of the repository, run '
        f'{cli.MOVED[name]}\n'
    )
    assert os.access(Path(__file__).parents[2] / cli.MOVED[name], os.X_OK)


def behave(monkeypatch, main) -> None:
    monkeypatch.setattr(cli, 'import_module', lambda name: SimpleNamespace(main=main))


def test_what_can_be_mended_is_one_line_and_exit_code_2(monkeypatch, capsys) -> None:
    def main(argv):
        raise RecordingError('r.mcap cannot be read: fetch it again')

    behave(monkeypatch, main)
    assert cli.main(['score', 'r.mcap']) == 2
    assert capsys.readouterr().err == 'viva score: r.mcap cannot be read: fetch it again\n'


def test_a_folder_that_cannot_be_written_to_is_no_traceback(monkeypatch, capsys) -> None:
    behave(monkeypatch, lambda argv: Path('/proc/nowhere').mkdir())
    assert cli.main(['demo']) == 2
    assert "No such file or directory: '/proc/nowhere'" in capsys.readouterr().err


def test_ctrl_c_is_exit_code_130_without_a_traceback(monkeypatch, capsys) -> None:
    def main(argv):
        raise KeyboardInterrupt

    behave(monkeypatch, main)
    assert cli.main(['train']) == 130
    assert capsys.readouterr().err == 'viva train: stopped: run the same command again to go on\n'


def test_signal_handlers_are_restored_after_a_call(monkeypatch) -> None:
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    def main(argv):
        assert (signal.getsignal(signal.SIGTERM) == handlers[1]) == (name == 'demo')
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise RecordingError('no')

    behave(monkeypatch, main)
    for name in ('train', 'demo'):
        cli.main([name])
        assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_signal_during_a_call_reaches_the_caller(monkeypatch, capsys) -> None:
    seen = []
    monkeypatch.setattr(program, 'PATIENCE', 0.05)
    behave(monkeypatch, lambda argv: signal.raise_signal(signal.SIGINT))
    before = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    try:
        assert cli.main(['train']) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    time.sleep(0.1)  # a timer that was left running would end this process
    assert seen == [signal.SIGINT]
    assert capsys.readouterr().err.startswith('viva train: stopped')


SUITE = """
import signal, time
from types import SimpleNamespace
from viva_ros.cli import main as cli

def test_first(monkeypatch):
    monkeypatch.setattr(cli, 'import_module', lambda name: SimpleNamespace(main=lambda argv: 0))
    assert cli.main(['train']) == 0

def test_second():
    signal.raise_signal(signal.SIGINT)
"""


def test_interrupted_test_suite_prints_its_summary(tmp_path: Path) -> None:
    (tmp_path / 'test_suite.py').write_text(SUITE)
    line = [sys.executable, '-m', 'pytest', '-q', '-c', os.devnull, '--rootdir', '.']
    env = {**os.environ, 'PYTHONPATH': str(Path(__file__).parents[2])}
    env['PYTEST_DISABLE_PLUGIN_AUTOLOAD'] = '1'
    ended = subprocess.run(
        line, capture_output=True, text=True, cwd=tmp_path, env=env, check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored in a job
    )  # fmt: skip
    assert ended.returncode == pytest.ExitCode.INTERRUPTED
    assert '1 passed' in ended.stdout and 'KeyboardInterrupt' in ended.stdout


def test_options_and_exit_code_pass_through(monkeypatch) -> None:
    seen = []

    def main(argv):
        seen.append(argv)
        return 1

    behave(monkeypatch, main)
    assert cli.main(['demo', '--seed', '4']) == 1
    assert seen == [['--seed', '4']]


def test_a_programming_error_is_not_swallowed(monkeypatch) -> None:
    def main(argv):
        raise ZeroDivisionError

    behave(monkeypatch, main)
    with pytest.raises(ZeroDivisionError):
        cli.main(['plot', 'x'])


def test_the_list_of_commands_needs_no_heavy_library() -> None:
    code = 'import sys, viva_ros.cli.main as c; c.main([]); print([m for m in ("torch", "mujoco", "cv2", "numpy") if m in sys.modules])'  # noqa: E501
    root = Path(__file__).parents[2]
    shown = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, cwd=root, check=True
    )
    assert shown.stdout.rstrip().endswith('[]')


@pytest.mark.parametrize('arguments', [[], ['--help'], ['doctor', '--help']])
def test_a_reader_that_ends_early_is_no_error(arguments: list[str]) -> None:
    """As in `viva | head -1`; nobody reads from the first byte on."""
    reader, writer = os.pipe()
    os.close(reader)
    line = [sys.executable, '-P', '-m', 'viva_ros.cli.main', *arguments]
    ended = subprocess.run(line, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert ended.stderr == ''
    assert ended.returncode in (0, 2, BROKEN_PIPE)


def test_a_missing_library_is_named_with_the_command_that_installs_it(monkeypatch, capsys) -> None:
    def main(argv):
        raise ModuleNotFoundError("No module named 'mujoco'", name='mujoco')

    behave(monkeypatch, main)
    assert cli.main(['record']) == 2
    assert capsys.readouterr().err.startswith('viva record: mujoco is not installed; run: ')


def test_a_module_of_our_own_that_is_missing_is_a_traceback(monkeypatch) -> None:
    def main(argv):
        raise ModuleNotFoundError("No module named 'viva_ros.gone'", name='viva_ros.gone')

    behave(monkeypatch, main)
    with pytest.raises(ModuleNotFoundError):
        cli.main(['record'])
