# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An interrupted training prints how to continue, and continues."""

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.slides import slide_episode, write_slide

from viva_ros.cli.main import main


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_interrupted_training_continues_at_its_stage(tmp_path: Path) -> None:
    for seed in (1, 2, 3):
        write_slide(tmp_path / 'r', slide_episode(seed))
    run = tmp_path / 'run'
    lengths = {'vae': 2, 'video': 1, 'viva': 5, 'proprio': 0}
    steps = [text for name, n in lengths.items() for text in (f'--{name}-steps', str(n))]
    command = [
        sys.executable, '-P', '-m', 'viva_ros.cli.main', 'train',
        '--recordings', str(tmp_path / 'r'), '--out', str(run), '--preset', 'tiny',
        '--batch', '2', *steps,
    ]  # fmt: skip
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}

    def start() -> 'subprocess.Popen[str]':
        return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)

    process = start()
    while not (run / 'vae.state').exists():
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130, said
    # Where the bar was about to end, it is on the same line.
    assert said.endswith('viva train: stopped: run the same command again to go on\n')
    assert 'Traceback' not in said
    assert not (run / 'checkpoint').exists()
    learnt = (run / 'vae.state').stat().st_mtime_ns

    again = start()
    said = again.communicate(timeout=200)[1]
    assert again.returncode == 0, said
    assert (run / 'vae.state').stat().st_mtime_ns == learnt
    assert (run / 'checkpoint' / 'model.safetensors').is_file()
    assert len(json.loads((run / 'run.json').read_text())['starts']) == 2


@contextmanager
def files_at_most(size: int) -> Iterator[None]:
    """Let the kernel refuse longer files, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize(('size', 'what'), [
    # Decoded views of an episode are 6 x 3 of 32 x 32 x 3 bytes, 55 296; the state is larger.
    (40_000, r'shards/episode_000001-\w+ cannot be written'), (100_000, r'run/vae\.state'),
])  # fmt: skip
def test_full_disk_error_names_path_and_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], size: int, what: str
) -> None:
    for seed in (1, 2, 3):
        write_slide(tmp_path / 'r/train', slide_episode(seed))
    command = ['train', '--recordings', str(tmp_path / 'r'), '--out', str(tmp_path / 'run'),
               '--preset', 'tiny', '--vae-steps', '2']  # fmt: skip
    with files_at_most(size):
        code = main(command)
    said = capsys.readouterr().err
    assert code == 2, said
    assert re.search(what, said), said
    assert 'free disk space, and run the same command again' in said
    assert not list((tmp_path / 'run').rglob('*.tmp'))
    assert not list((tmp_path / 'run').glob('cache/train.*'))
