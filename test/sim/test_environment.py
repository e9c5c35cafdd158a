# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The simulation: seeds, labels, faults, retries, errors."""

import mujoco
import numpy as np
import pytest
from support.errors import raises
from support.simulated_episodes import episode, play

from viva_ros.sim.environment import Simulation
from viva_ros.sim.robots.viperx import CAMERAS, JOINT_NAMES, ROBOT
from viva_ros.sim.scene import CameraRenderer
from viva_ros.sim.tasks.registry import TASKS, camera_only

EVERY_FAILURE = [(task.name, mode) for task in TASKS.values() for mode in task.failures]
EVERY_CAMERA_ONLY = [(task, mode) for task, mode in EVERY_FAILURE if mode in camera_only()]
RETRIED = [
    ('tray_lift', 'slip', 1), ('tray_lift', 'stall', 1), ('tray_lift', 'missed_grasp', 0),
    ('cube_transfer', 'missed_grasp', 1), ('cube_transfer', 'slip', 1),
]  # fmt: skip


def test_names_and_order_of_modes_match_published_recordings():
    # The index of a mode seeds its random numbers: another order changes the episodes.
    tray, cube = TASKS['tray_lift'], TASKS['cube_transfer']
    assert tray.failures == (
        'slip', 'missed_grasp', 'premature_release', 'misalignment', 'asynchronous_lift', 'stall',
        'nudge', 'payload_tips', 'platform_moved',
    )  # fmt: skip
    assert tray.variations == (
        'none', 'pause', 'slow', 'recovered_missed_grasp', 'recovered_stall', 'near_miss',
    )  # fmt: skip
    assert cube.failures == (
        'slip', 'missed_grasp', 'premature_release', 'misalignment', 'late_release', 'stall',
        'nudge', 'target_moved',
    )  # fmt: skip
    assert cube.variations == (*tray.variations, 'early_release')
    found = camera_only()
    assert found == {'slip', 'nudge', 'payload_tips', 'platform_moved', 'target_moved'}


@pytest.mark.parametrize('task', list(TASKS))
@pytest.mark.parametrize('seed', [0, 1])
def test_nominal_episode_succeeds_without_evidence_of_failure(task, seed):
    truth = episode(task, seed, 'none').truth
    assert truth.success and not truth.failed
    assert (truth.inject_time, truth.visible_time, truth.manifest_time) == (None, None, None)
    assert truth.progress == 1.0


@pytest.mark.parametrize(('task', 'mode'), EVERY_FAILURE)
def test_failure_fails_with_ordered_times(task, mode):
    truth = episode(task, 1, mode).truth
    assert not truth.success and truth.failed and truth.evidence
    assert 0.0 <= truth.inject_time <= truth.visible_time <= truth.manifest_time <= truth.time


@pytest.mark.parametrize('mode', TASKS['tray_lift'].variations[1:])
def test_tray_lift_variation_succeeds(mode):
    assert episode('tray_lift', 1, mode).truth.success


@pytest.mark.parametrize(('task', 'mode'), EVERY_CAMERA_ONLY)
def test_camera_only_failure_does_not_change_the_commands(task, mode):
    nominal, failed = episode(task, 1, 'none').commands, episode(task, 1, mode).commands
    length = min(len(nominal), len(failed))
    assert np.array_equal(nominal[:length], failed[:length])


def test_slip_does_not_change_the_joints():
    nominal = episode('tray_lift', 1, 'none').joints
    failed = episode('tray_lift', 1, 'slip').joints
    length = min(len(nominal), len(failed))
    difference = np.abs(nominal[:length] - failed[:length]).max(axis=0)
    grippers = [JOINT_NAMES.index(f'{side}_gripper') for side in ('left', 'right')]
    assert difference.max() < 0.01  # rad
    assert difference[grippers].max() < 0.002  # m; handles differ in width by 5 mm


def test_failure_of_the_arms_changes_the_commands():
    nominal = episode('tray_lift', 1, 'none').commands
    failed = episode('tray_lift', 1, 'missed_grasp').commands
    assert not np.array_equal(nominal[:100], failed[:100])


def test_equal_seed_gives_bitwise_equal_joints():
    again = play(Simulation('tray_lift', 1, 'slip'))
    assert np.array_equal(again.joints, episode('tray_lift', 1, 'slip').joints)
    assert again.truths == episode('tray_lift', 1, 'slip').truths


def test_different_seed_gives_a_different_episode():
    first, second = episode('tray_lift', 0, 'none'), episode('tray_lift', 1, 'none')
    assert not np.array_equal(first.joints[0], second.joints[0])


def test_progress_rises_and_falls_when_the_tray_is_lost():
    nominal = [truth.progress for truth in episode('tray_lift', 1, 'none').truths]
    assert nominal[-1] == 1.0 and min(np.diff(nominal)) > -0.1
    slipped = [truth.progress for truth in episode('tray_lift', 1, 'slip').truths]
    assert max(slipped) > 0.35 and slipped[-1] < 0.2


@pytest.mark.parametrize(('task', 'mode', 'seed'), RETRIED)
def test_retry_succeeds_on_the_present_scene(task, mode, seed):
    simulation = Simulation(task, seed, mode)
    assert not play(simulation).truth.success
    assert simulation.retry(), simulation.retry_refusal
    assert not simulation.done and not simulation.truth().failed
    truth = play(simulation).truth
    assert truth.success and truth.attempt == 2
    assert truth.manifest_time is not None  # of the first attempt


def test_retry_after_payload_has_fallen_is_refused_with_reason():
    simulation = Simulation('tray_lift', 0, 'payload_tips')
    play(simulation)
    assert not simulation.retry()
    assert 'payload no longer stands' in simulation.retry_refusal
    assert simulation.done and simulation.truth().attempt == 1


def test_retry_with_a_failure_mode_fails_again():
    simulation = Simulation('tray_lift', 2, 'slip')
    play(simulation)
    assert simulation.retry('slip')
    again = play(simulation).truth
    assert again.attempt == 2 and not again.success and again.inject_time > 8.0


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'seed': -1}, 'seed is -1'),
        ({'seed': 1.5}, 'seed is 1.5'),
        ({'image_size': (8, 128)}, r'image_size is \(8, 128\)'),
    ],
)
def test_argument_out_of_range_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Simulation('tray_lift', **arguments)


@pytest.mark.parametrize(
    ('arguments', 'code', 'known'),
    [
        ({'task': 'juggle'}, 'registry-name-unknown', ['tray_lift', 'cube_transfer']),
        ({'robot': 'arm'}, 'registry-name-unknown', ['viperx']),
        ({'failure': 'late_release'}, 'failure-unknown', ['none, ', "task 'tray_lift'"]),
    ],
)
def test_unknown_task_robot_or_failure_is_refused(arguments, code, known):
    ((name, value),) = arguments.items()
    with raises(code, f'{name} is {value!r}', *known):
        Simulation(**{'task': 'tray_lift', **arguments})


def test_joints_have_names_and_time_counts_control_steps():
    simulation = Simulation('tray_lift')
    simulation.step()
    assert tuple(simulation.joint_positions()) == JOINT_NAMES
    assert simulation.time == pytest.approx(0.02)
    assert simulation.joint_positions() == simulation.joint_positions()


def test_equal_seed_gives_equal_images(renders):
    def images() -> dict[str, np.ndarray]:
        simulation = Simulation('tray_lift', 3, image_size=(96, 128))
        for _ in range(5):
            simulation.step()
        rendered = simulation.render()
        simulation.close()
        return rendered

    first, second = images(), images()
    assert tuple(first) == CAMERAS
    for camera in CAMERAS:
        assert first[camera].shape == (96, 128, 3) and first[camera].dtype == np.uint8
        assert first[camera].std() > 10.0
        assert np.array_equal(first[camera], second[camera])


def test_renderer_of_the_bare_robot_renders_any_scene(renders):
    renderer = CameraRenderer(ROBOT.bare_model)
    for task in TASKS:
        own, lent = (Simulation(task, 3, image_size=(96, 128)) for _ in range(2))
        lent.use(renderer)
        images, again = own.render(), lent.render()
        own.close()
        lent.close()  # leaves the renderer open
        for camera in CAMERAS:
            assert np.ptp(images[camera]) > 50
            np.testing.assert_array_equal(images[camera], again[camera])
    other = mujoco.MjModel.from_xml_string('<mujoco/>')
    assert not renderer.fits(other)
    renderer.close()
