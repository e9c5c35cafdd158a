# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Simulate episodes outside of training, calibration and test, and store some of their inputs.

`pack.sh` runs it; it needs the simulator (mujoco), not a GPU.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from viva_ros.data.open import open_recording
from viva_ros.data.segmentation import episodes_of
from viva_ros.engine.preprocessing import Image
from viva_ros.sim.recording import RecordJob, plan, record
from viva_ros.sim.tasks.registry import TASKS

from .moments import FILE, Moment, Observation, save

FIRST_SEED: Final = 7_700_001  # of a range that no other data uses


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--out', type=Path, default=FILE, help='NPZ file (default: %(default)s)')
    parser.add_argument(
        '--episodes', type=int, default=10, help='Episodes of each task (default: %(default)s)'
    )
    parser.add_argument(
        '--moments', type=int, default=10, help='Moments of each episode (default: %(default)s)'
    )
    parser.add_argument('--processes', type=int, default=2,
                        help='Worker processes (default: %(default)s)')  # fmt: skip
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        jobs = [job for task in TASKS for job in _jobs(task, args.episodes, Path(folder) / task)]
        record(jobs, args.processes)
        paths = [job.path for job in jobs if job.path.exists()]
        moments = [moment for path in paths for moment in _cut(path, args.moments)]
    save(args.out, moments)
    failed = sum(not moment.success for moment in moments)
    print(f'{len(moments)} moments, {failed} of failures: {args.out.stat().st_size} bytes')
    return 0


def _jobs(task: str, episodes: int, out: Path) -> list[RecordJob]:
    """Plan the first attempts of some seeds; half of them fail, as in the mix of failures."""
    seeds = range(FIRST_SEED, FIRST_SEED + episodes)
    return [job for job in plan(task, seeds, out) if job.retry_delay is None]


def _cut(path: Path, count: int) -> list[Moment]:
    """Return evenly spaced moments of a recording, with the joints nearest in time."""
    found = []
    for episode in episodes_of(open_recording(path)):
        if episode.label is None:
            continue
        first = next(iter(episode.cameras.values()))
        for row in np.linspace(0, len(first.stamps) - 1, count).round().astype(int):
            stamp = int(first.stamps[row])
            images: dict[str, Image] = {
                name: np.asarray(frames.images[int(np.abs(frames.stamps - stamp).argmin())])
                for name, frames in episode.cameras.items()
            }
            near = int(np.abs(episode.joints.stamps - stamp).argmin())
            joints = episode.joints.positions[near].tolist()
            proprio = dict(zip(episode.joints.names, joints, strict=True))
            observation = Observation(images, proprio, {'images': stamp})
            found.append(Moment(observation, episode.label.task, bool(episode.label.success)))
    return found


if __name__ == '__main__':
    raise SystemExit(main())
