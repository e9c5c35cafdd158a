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

from viva_ros.cli.main import COMMANDS, MOVED, main
from viva_ros.console import program
from viva_ros.console.program import BROKEN_PIPE
from viva_ros.core.errors import RecordingError


@pytest.mark.parametrize('name', COMMANDS)
def test_every_command_has_main_and_help(name: str, capsys) -> None:
    module = importlib.import_module(COMMANDS[name][0])
    with pytest.raises(SystemExit) as ended:
        module.main(['--help'])
    assert ended.value.code == 0
    assert f'usage: viva {name}' in capsys.readouterr().out


def test_missing_command_lists_all_commands(capsys) -> None:
    assert main([]) == 2
    shown = capsys.readouterr().out
    for name, (_, text) in COMMANDS.items():
        assert name in shown
        assert text in shown


def test_unknown_command_lists_valid_ones(capsys) -> None:
    assert main(['dance']) == 2
    assert "command is 'dance', must be one of demo, up, record" in capsys.readouterr().err


@pytest.mark.parametrize('name', MOVED)
def test_former_command_names_the_new_one(name: str, capsys) -> None:
    assert main([name, '--help']) == 2
    assert capsys.readouterr().err == (
        f'viva {name}: moved out of the package; in a checkout of the repository, run '
        f'{MOVED[name]}\n'
    )
    assert os.access(Path(__file__).parents[2] / MOVED[name], os.X_OK)


def replace_command(monkeypatch, command) -> None:
    commands = SimpleNamespace(main=command)
    monkeypatch.setattr('viva_ros.cli.main.import_module', lambda name: commands)


def test_viva_error_prints_one_line_and_exits_with_2(monkeypatch, capsys) -> None:
    def command(argv):
        raise RecordingError('bag-torn', 'r.mcap cannot be read: fetch it again')

    replace_command(monkeypatch, command)
    assert main(['score', 'r.mcap']) == 2
    assert capsys.readouterr().err == 'viva score: r.mcap cannot be read: fetch it again\n'


def test_os_error_prints_no_traceback(monkeypatch, capsys) -> None:
    replace_command(monkeypatch, lambda argv: Path('/proc/nowhere').mkdir())
    assert main(['demo']) == 2
    assert "No such file or directory: '/proc/nowhere'" in capsys.readouterr().err


def test_lack_of_memory_prints_no_traceback(monkeypatch, capsys) -> None:
    def allocate(argv) -> None:
        raise MemoryError('Unable to allocate 1 GiB')

    replace_command(monkeypatch, allocate)
    assert main(['demo']) == 2
    shown = capsys.readouterr().err
    assert 'memory does not suffice (Unable to allocate 1 GiB)' in shown and 'ulimit -v' in shown


def test_ctrl_c_exits_with_130_without_traceback(monkeypatch, capsys) -> None:
    def command(argv):
        raise KeyboardInterrupt

    replace_command(monkeypatch, command)
    assert main(['train']) == 130
    assert capsys.readouterr().err == 'viva train: stopped: run the same command again to go on\n'
    assert main(['train', '--plan']) == 130
    assert capsys.readouterr().err == 'viva train: stopped: run the same command again\n'


EARLY = """
import signal, sys
from viva_ros.cli.main import main

class Interrupts:
    def find_spec(self, name, path=None, target=None):
        if name == 'viva_ros.core.foreign_text':  # the first import of a command
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                raise ImportError(name)  # as libraries do that are interrupted on import

sys.meta_path.insert(0, Interrupts())
sys.argv[1:] = ['train', '--help']
sys.exit(main())
"""


def test_ctrl_c_while_a_command_is_imported_exits_with_130() -> None:
    line = [sys.executable, '-c', EARLY]
    root = Path(__file__).parents[2]
    ended = subprocess.run(line, capture_output=True, text=True, cwd=root, check=False)
    assert ended.stderr == 'viva train: stopped: run the same command again\n'
    assert ended.returncode == 130


def test_signal_handlers_are_restored_after_a_call(monkeypatch) -> None:
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    def command(argv):
        assert (signal.getsignal(signal.SIGTERM) == handlers[1]) == (name == 'demo')
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise RecordingError('bag-torn', 'no')

    replace_command(monkeypatch, command)
    for name in ('train', 'demo'):
        main([name])
        assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_signal_during_a_call_reaches_the_caller(monkeypatch, capsys) -> None:
    received = []
    monkeypatch.setattr(program, 'PATIENCE', 0.05)
    replace_command(monkeypatch, lambda argv: signal.raise_signal(signal.SIGINT))
    before = signal.signal(signal.SIGINT, lambda number, frame: received.append(number))
    try:
        assert main(['train']) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    time.sleep(0.1)  # a remaining timer would end this process
    assert received == [signal.SIGINT]
    assert capsys.readouterr().err.startswith('viva train: stopped')


SUITE = """
import signal, time
from types import SimpleNamespace
from viva_ros.cli.main import main

COMMANDS = SimpleNamespace(main=lambda argv: 0)

def test_first(monkeypatch):
    monkeypatch.setattr('viva_ros.cli.main.import_module', lambda name: COMMANDS)
    assert main(['train']) == 0

def test_second():
    signal.raise_signal(signal.SIGINT)
"""


@pytest.mark.medium
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
    received = []

    def command(argv):
        received.append(argv)
        return 1

    replace_command(monkeypatch, command)
    assert main(['demo', '--seed', '4']) == 1
    assert received == [['--seed', '4']]


def test_programming_error_is_raised(monkeypatch) -> None:
    def command(argv):
        raise ZeroDivisionError

    replace_command(monkeypatch, command)
    with pytest.raises(ZeroDivisionError):
        main(['plot', 'x'])


IMPORTS = """
import sys
from viva_ros.cli.main import main
try:
    main({arguments})
except SystemExit:
    pass
print([name for name in {libraries} if name in sys.modules])
"""


@pytest.mark.parametrize(('arguments', 'libraries'), [
    ([], ('torch', 'mujoco', 'cv2', 'numpy')),
    (['embed', '--help'], ('transformers', 'torch', 'diffusers')),
], ids=['list', 'embed'])  # fmt: skip
def test_help_imports_no_heavy_library(arguments: list[str], libraries: tuple[str, ...]) -> None:
    code = IMPORTS.format(arguments=arguments, libraries=libraries)
    root = Path(__file__).parents[2]
    shown = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, cwd=root, check=True
    )
    assert 'usage: viva' in shown.stdout and shown.stdout.rstrip().endswith('[]')


@pytest.mark.parametrize('arguments', [[], ['--help'], ['doctor', '--help']])
def test_closed_output_pipe_is_no_error(arguments: list[str]) -> None:
    """As in `viva | head -1`, with a pipe that is closed before the first byte."""
    reader, writer = os.pipe()
    os.close(reader)
    line = [sys.executable, '-P', '-m', 'viva_ros.cli.main', *arguments]
    ended = subprocess.run(line, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert ended.stderr == ''
    assert ended.returncode in (0, 2, BROKEN_PIPE)


def test_missing_library_is_named_with_install_command(monkeypatch, capsys) -> None:
    def command(argv):
        raise ModuleNotFoundError("No module named 'mujoco'", name='mujoco')

    replace_command(monkeypatch, command)
    assert main(['record']) == 2
    assert capsys.readouterr().err.startswith('viva record: mujoco is not installed; run: ')


def test_missing_module_of_package_is_raised(monkeypatch) -> None:
    def command(argv):
        raise ModuleNotFoundError("No module named 'viva_ros.gone'", name='viva_ros.gone')

    replace_command(monkeypatch, command)
    with pytest.raises(ModuleNotFoundError):
        main(['record'])
