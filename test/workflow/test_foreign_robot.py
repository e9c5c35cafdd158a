# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A foreign robot, from its bags to values, by configuration only."""

import json
from pathlib import Path

import numpy as np
import pytest
from support.foreign_robot import write_bag

from viva_ros.cli.main import main
from viva_ros.data.open import open_recording
from viva_ros.engine.factory import load
from viva_ros.scoring.replay import replay

STEPS = [f'--{stage}-steps' for stage in ('vae', 'video', 'viva', 'proprio')]
JOINTS = 14


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize('cameras', [('top', 'side'), ('top', 'side', 'left', 'right')])
def test_bags_of_foreign_robot_are_imported_trained_and_scored(
    tmp_path: Path, map_file: Path, cameras: tuple[str, ...]
) -> None:
    views = ''.join(f'  {camera}: /acme/{camera}/image/compressed\n' for camera in cameras)
    old = '  top: /acme/top/image/compressed\n  side: /acme/side/image/compressed\n'
    assert old in map_file.read_text()
    map_file.write_text(map_file.read_text().replace(old, views))
    bags, out = tmp_path / 'bags', tmp_path / 'set'
    for number in range(6):
        success = number % 3 != 2
        write_bag(bags / f'b{number}', seed=number, success=success, seconds=2.0, cameras=cameras)
    assert main(['import', str(bags), '--map', str(map_file), '--out', str(out)]) == 0

    run, engine = tmp_path / 'run', tmp_path / 'engine'
    lengths = [text for step in STEPS for text in (step, '2')]
    arguments = ['--out', str(run), '--preset', 'tiny', '--batch', '4', *lengths]
    assert main(['train', '--recordings', str(out), *arguments]) == 0
    command = ['export', str(run / 'checkpoint'), '--out', str(engine), '--recordings', str(out)]
    assert main(command) == 0

    loaded = load(engine, 'lift_block')
    assert set(loaded.info.cameras) == set(cameras)
    assert len(loaded.info.joint_names) == JOINTS
    assert {'west_gripper', 'arm_east_axis_6'} <= set(loaded.info.joint_names)

    # The bags are scored directly, with the map in their folder.
    map_file.rename(bags / 'viva_map.yaml')
    recording = open_recording(bags / 'b0')
    seen = [
        loaded.estimate(entry.observation)
        for entry in replay(recording, loaded.info.cameras, loaded.info.joint_names, 10.0)
        if hasattr(entry.observation, 'images')
    ]
    assert len(seen) >= 18  # of 2 s at 10 Hz
    assert np.isfinite([one.value for one in seen]).all()
    assert set(seen[0].forecast) == set(loaded.info.joint_names)
    loaded.close()
    described = json.loads((engine / 'engine.json').read_text())
    assert described['horizon'] > 0.0
