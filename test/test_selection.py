# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The plugin support/selection.py, in a separate suite."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SUITE = """
import os, signal
import pytest

@pytest.fixture
def domain():
    pass

@pytest.fixture
def listener(domain):
    pass

def test_fast():
    pass

def test_live(listener):
    pass

@pytest.mark.slow
def test_slow():
    pass

@pytest.mark.slow
def test_slow_and_live(listener):
    pass

@pytest.mark.skipif('STOP' not in os.environ, reason='only to be stopped')
def test_stop():
    os.kill(os.getpid(), getattr(signal, os.environ['STOP']))
"""


def run(folder: Path, *options: str, **extra: str) -> 'subprocess.CompletedProcess[str]':
    (folder / 'test_suite.py').write_text(SUITE)
    line = [sys.executable, '-m', 'pytest', '-p', 'support.selection', '-c', os.devnull,
            '--rootdir', '.', '-p', 'no:cacheprovider', *options]  # fmt: skip
    env = {**os.environ, 'PYTHONPATH': str(Path(__file__).parent), **extra}
    env = {key: value for key, value in env.items() if not key.startswith('PYTEST_')}
    env['PYTEST_DISABLE_PLUGIN_AUTOLOAD'] = '1'
    return subprocess.run(
        line, cwd=folder, env=env, capture_output=True, text=True, check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored in a job
    )  # fmt: skip


@pytest.mark.parametrize(('expression', 'selected'), [
    ('fast', {'test_fast', 'test_stop'}),
    ('live', {'test_live', 'test_slow_and_live'}),
    ('not slow', {'test_fast', 'test_live', 'test_stop'}),
])  # fmt: skip
def test_markers_follow_from_fixtures(tmp_path, expression: str, selected: set[str]) -> None:
    shown = run(tmp_path, '--collect-only', '-q', '-m', expression).stdout
    assert {line.partition('::')[2] for line in shown.splitlines() if '::' in line} == selected


@pytest.mark.parametrize('name', ['SIGTERM', 'SIGINT'])
def test_stopped_suite_prints_summary_and_durations(tmp_path, name: str) -> None:
    ended = run(tmp_path, '--durations=3', '-vv', '-m', 'fast', STOP=name)
    assert ended.returncode == pytest.ExitCode.INTERRUPTED
    assert '1 passed' in ended.stdout
    assert 'slowest 3 durations' in ended.stdout and 'test_suite.py::test_fast' in ended.stdout
