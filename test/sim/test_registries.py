# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A simulated robot and a simulated task of other packages, one file each."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support import sim_toys
from support.errors import raises

from viva_ros.core.urdf import RobotDescription
from viva_ros.data.open import open_recording
from viva_ros.data.recorded_messages import truth
from viva_ros.data.segmentation import episodes_of
from viva_ros.sim.environment import Simulation
from viva_ros.sim.recording import RecordJob, record_episode
from viva_ros.sim.robots.registry import ROBOTS, SimRobot
from viva_ros.sim.tasks.registry import TASKS
from viva_ros.sim.urdf import robot_description


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimRobot]:
    """Add robot and task to the registries of this process."""
    monkeypatch.syspath_prepend(str(sim_toys.TOYS))
    from gantry import ROBOT
    from touch_mat import TASK

    ROBOTS.add('gantry', ROBOT)
    TASKS.add('touch_mat', TASK)
    yield ROBOT
    ROBOTS.remove('gantry')
    TASKS.remove('touch_mat')
    for name in ('gantry', 'touch_mat'):
        del sys.modules[name]


def play(failure: str) -> Simulation:
    simulation = Simulation('touch_mat', 3, failure, robot='gantry')
    while not simulation.done:
        simulation.step()
    return simulation


def test_added_robot_executes_the_added_task(toys: SimRobot) -> None:
    simulation = play('none')
    assert simulation.succeeded and not simulation.truth().failed
    assert tuple(simulation.joint_positions()) == toys.joint_names
    # 1.0 to 1.2 s of motion, then 0.5 s within 2 cm of the mat; the way is about 0.3 m.
    assert 1.2 < simulation.time < 2.0
    assert round(simulation.time * 25) == pytest.approx(simulation.time * 25)  # 25 Hz


@pytest.mark.parametrize('failure', ['miss', 'nudge'])
def test_failure_of_an_added_task_fails_and_retry_succeeds(toys: SimRobot, failure: str) -> None:
    simulation = play(failure)
    known = simulation.truth()
    assert known.failed and known.evidence == 'the hand is not at the mat'
    assert known.inject_time < known.visible_time <= known.manifest_time
    assert simulation.retry(), simulation.retry_refusal
    while not simulation.done:
        simulation.step()
    assert simulation.succeeded and simulation.truth().attempt == 2


def test_description_of_an_added_robot_has_its_joints(toys: SimRobot) -> None:
    described = RobotDescription(robot_description(toys))
    needed = {
        name for link in described.links for name in described.chain('base_link', link).joints
    }
    assert needed == set(toys.joint_names)


def test_recording_of_an_added_robot_is_read_back(toys, renders, tmp_path: Path) -> None:
    job = RecordJob('touch_mat', 3, 'nudge', tmp_path / 'one.mcap', (32, 48), robot='gantry')
    assert record_episode(job) is False
    recording = open_recording(job.path)
    (episode,) = episodes_of(recording)
    assert episode.joints.names == toys.joint_names
    np.testing.assert_array_equal(np.diff(episode.joints.stamps), 40_000_000)  # 25 Hz
    assert list(episode.cameras) == ['top']
    stamps = episode.cameras['top'].stamps
    # The first control step at or after each tenth of a second.
    assert ((stamps - stamps[0])[:6] / 1e9).tolist() == [0.0, 0.12, 0.2, 0.32, 0.4, 0.52]
    first, last = (episode.cameras['top'].images[i].astype(int) for i in (0, -1))
    assert first.shape == (32, 48, 3) and np.abs(first - last).max() > 50  # the mat moved
    assert episode.label is not None
    assert (episode.label.task, episode.label.failure) == ('touch_mat', 'nudge')
    assert truth(recording)[-1].failed


def test_command_records_robot_and_task_of_an_installed_package(renders, tmp_path: Path) -> None:
    """The command and its worker process find both by their entry points."""
    command = [
        sys.executable, '-P', '-m', 'viva_ros.cli.main', 'record', '--task', 'touch_mat',
        '--robot', 'gantry', '--seeds', '0-1', '--failure', 'none', '--size', '32',
        '--processes', '1', '--out', str(tmp_path / 'out'),
    ]  # fmt: skip
    env = {**os.environ, 'PYTHONPATH': sim_toys.install(tmp_path / 'site')}
    ended = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    for seed in (0, 1):
        recording = open_recording(tmp_path / 'out' / f'episode_{seed:06d}.mcap')
        (episode,) = episodes_of(recording)
        assert episode.label is not None and episode.label.success
        assert list(episode.cameras) == ['top']


def test_robot_with_inconsistent_joint_counts_is_refused(toys: SimRobot) -> None:
    values = {name: getattr(toys, name) for name in toys.__dataclass_fields__}
    with pytest.raises(ValueError, match=r'8 joint names and 7 values .* hands have 8 joints'):
        SimRobot(**{**values, 'encoder_noise': (1e-4,) * 7})


def test_robot_with_the_name_of_a_shipped_one_is_refused(toys: SimRobot) -> None:
    with raises('registry-name-duplicate', "robot 'viperx'", ROBOTS.group):
        ROBOTS.add('viperx', toys)


@pytest.mark.parametrize('registry', [ROBOTS, TASKS], ids=['robots', 'tasks'])
def test_registered_names_equal_their_name_fields(registry) -> None:
    assert [one.name for one in registry.values()] == list(registry)
