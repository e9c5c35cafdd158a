# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Peak memory of a replay in place does not grow with the pictures of a recording."""

import subprocess
import sys
from pathlib import Path

import pytest
from support.picture_streams import SIZE, STREAMS

pytestmark = pytest.mark.medium

SHORT, LONG = 100, 300  # pictures; the short recording fills what is kept of a file
BYTES = (LONG - SHORT) * 3 * SIZE[0] * SIZE[1]  # 46 MB
#: Replays the short and the long recording; prints the growth of the peak memory, bytes.
SCRIPT = """
import sys
from dataclasses import replace
from pathlib import Path
import numpy as np
from viva_ros.core.observation import Observation
from viva_ros.data.messages import header, make, serialise, to_time
from viva_ros.data.open import open_recording
from viva_ros.data.recording import Track
from viva_ros.scoring.replay import replay

def with_values(recording):
    kind, times = 'viva_ros/msg/Value', recording.cameras['top'].times
    data = [serialise(kind, make(
        kind, header=header(at), status=1, value=0.0, reason_kind='', reason='', task='',
        episode_id='', engine='', executing=True, session_id=7, rate=20.0, latency=0.0, skew=0.0,
        progress=0.0, success_probability=0.0, input_names=['top', 'joint_states'],
        input_stamps=[to_time(at)] * 2, joint_names=[], positions=np.zeros(0),
        forecast=np.zeros(0), horizon=1.0,
    )) for at in times]
    return replace(recording, tracks={**recording.tracks, '/value': Track(
        '/value', kind, times, data)})

def peak(path):
    Path('/proc/self/clear_refs').write_text('5')  # the peak begins anew
    recording = open_recording(path)
    if sys.argv[1] == 'recorded':
        recording = with_values(recording)
    count = len(recording.cameras['top'].times)
    inputs = replay(recording, ['top'], ['left_j1', 'right_j1'], 20.0, (64, 64))
    known = sum(isinstance(one.observation, Observation) for one in inputs)
    assert known > 0.9 * count, (known, count)
    status = Path('/proc/self/status').read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in status if line.startswith('VmHWM'))

short, long = (peak(Path(path)) for path in sys.argv[2:])
print(long - short)
"""


@pytest.mark.parametrize(
    ('name', 'inputs'), [('chunks', 'timer'), ('sqlite', 'timer'), ('sqlite', 'recorded')]
)
def test_peak_memory_does_not_grow_with_the_pictures(
    tmp_path: Path, name: str, inputs: str
) -> None:
    suffix, write, _ = STREAMS[name]
    paths = [tmp_path / f'{length}{suffix}' for length in ('short', 'long')]
    for path, count in zip(paths, (SHORT, LONG), strict=True):
        write(path, count)
    done = subprocess.run(
        [sys.executable, '-c', SCRIPT, inputs, *map(str, paths)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < BYTES / 4
