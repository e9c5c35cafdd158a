# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viva_ros.cli.record import main, parse_seeds
from viva_ros.core.errors import ConfigurationError
from viva_ros.data.open import open_recording
from viva_ros.data.segmentation import episodes_of
from viva_ros.sim.recording import plan


@pytest.mark.parametrize(
    ('text', 'seeds'), [('0-3', [0, 1, 2, 3]), ('7', [7]), ('8-9,3,9', [3, 8, 9]), ('5-4', [])]
)
def test_parse_seeds_accepts_ranges_and_numbers(text: str, seeds: list[int]) -> None:
    assert parse_seeds(text) == seeds


@given(text=st.text(alphabet='0-,a ', max_size=5))
def test_invalid_seeds_are_refused_with_valid_form(text: str) -> None:
    try:
        assert all(seed >= 0 for seed in parse_seeds(text))
    except argparse.ArgumentTypeError as error:
        assert 'must have the form 0-699' in str(error)


def test_plan_has_each_seed_and_retries_after_failures_only(tmp_path: Path) -> None:
    jobs = plan('tray_lift', range(60), tmp_path)
    first = [job for job in jobs if job.retry_delay is None]
    assert [job.path.name for job in first] == [f'episode_{n:06d}.mcap' for n in range(60)]
    retries = [job for job in jobs if job.retry_delay is not None]
    assert retries
    by_seed = {job.seed: job.failure for job in first}
    assert all(job.failure == by_seed[job.seed] != 'none' for job in retries)
    assert len({job.path for job in jobs}) == len(jobs)


def test_unknown_task_or_failure_is_refused_with_valid_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"'flood', must be one of none, .*slip"):
        plan('tray_lift', [1], tmp_path, failure='flood')
    with pytest.raises(ConfigurationError, match="task is 'dance', must be one of tray_lift"):
        plan('dance', [1], tmp_path)


@pytest.mark.slow
def test_second_recording_run_continues_the_first(tmp_path: Path, capsys) -> None:
    out = tmp_path / 'train'
    options = ['--out', str(out), '--processes', '1', '--failure', 'none', '--size', '32']
    assert main(['--seeds', '4', *options]) == 0
    path = out / 'episode_000004.mcap'
    stored = path.stat().st_mtime_ns
    assert main(['--seeds', '4-5', *options]) == 0
    assert path.stat().st_mtime_ns == stored
    assert sorted(os.listdir(out)) == ['episode_000004.mcap', 'episode_000005.mcap']
    (episode,) = episodes_of(open_recording(path))
    assert sorted(episode.cameras) == ['head', 'left_wrist', 'right_wrist']
    assert episode.cameras['head'].images[0].shape == (32, 32, 3)
    assert len(episode.joints.names) == 14
    assert episode.label is not None
    assert episode.label.success
    assert '1 existed' in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_recording_with_complete_files_only(
    tmp_path: Path, number: signal.Signals
) -> None:
    command = [sys.executable, '-P', '-m', 'viva_ros.cli.main', 'record', '--seeds', '0-40']
    process = subprocess.Popen(
        [*command, '--out', str(tmp_path), '--processes', '2', '--size', '16'],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob('episode_*.mcap')) and time.monotonic() < deadline:
        time.sleep(0.2)
    # SIGINT as of a terminal, SIGTERM as of a service manager.
    os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
    _, errors = process.communicate(timeout=40)
    assert process.returncode == 130
    assert errors.rstrip().endswith('viva record: stopped: run the same command again to go on')
    assert 'Traceback' not in errors
    names = os.listdir(tmp_path)
    assert names
    assert all(name.endswith('.mcap') and not name.startswith('.') for name in names)
    assert all(open_recording(tmp_path / name).losses == () for name in names)
