# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A run that is killed with SIGKILL in two stages has the files of one without interruption."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / 'support' / 'killed_run.py'


def start(out: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
    return subprocess.Popen([sys.executable, str(SCRIPT), str(out)], env=environment,
                            stderr=subprocess.DEVNULL)  # fmt: skip


def kill_at(out: Path, state: str) -> None:
    """Start the run, and kill it once it has written a state."""
    process = start(out)
    while not (out / state).exists():
        assert process.poll() is None, f'it ended before {state} was written'
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_run_killed_in_two_stages_has_equal_files(tmp_path: Path) -> None:
    whole, parts = tmp_path / 'whole', tmp_path / 'parts'
    reference = start(whole)
    kill_at(parts, 'vae.state')
    (parts / '.video.state.left.tmp').write_bytes(b'half a state')  # a kill while writing
    kill_at(parts, 'viva.state')
    assert start(parts).wait() == 0
    assert reference.wait() == 0
    for name in ('checkpoint', 'proprio'):
        expected, given = ((f / name / 'model.safetensors').read_bytes() for f in (whole, parts))
        assert given == expected, name
    latents = [(folder / 'latents_train.npy').read_bytes() for folder in (whole, parts)]
    assert latents[0] == latents[1]
    rows = [
        [{k: v for k, v in json.loads(line).items() if k != 'seconds_a_step'}
         for line in (folder / 'curve.jsonl').read_text().splitlines()]
        for folder in (whole, parts)
    ]  # fmt: skip
    assert rows[0] == rows[1]
    assert len(json.loads((parts / 'run.json').read_text())['starts']) == 3
    assert not list(parts.glob('.*.tmp'))
