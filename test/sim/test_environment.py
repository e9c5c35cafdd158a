# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The simulated robot as its users see it: seeds, labels, faults, retries, errors."""

import mujoco
import numpy as np
import pytest
from support.simulated_episodes import episode, play

from viva_ros.core.errors import ConfigurationError
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


def test_names_and_order_of_modes_are_those_of_published_recordings():
    # The index of a mode seeds its random numbers: another order gives other episodes.
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
def test_an_undisturbed_episode_succeeds_without_any_evidence_of_failure(task, seed):
    truth = episode(task, seed, 'none').truth
    assert truth.success and not truth.failed
    assert (truth.inject_time, truth.visible_time, truth.manifest_time) == (None, None, None)
    assert truth.progress == 1.0


@pytest.mark.parametrize(('task', 'mode'), EVERY_FAILURE)
def test_a_failure_fails_and_its_times_are_in_order(task, mode):
    truth = episode(task, 1, mode).truth
    assert not truth.success and truth.failed and truth.evidence
    assert 0.0 <= truth.inject_time <= truth.visible_time <= truth.manifest_time <= truth.time


@pytest.mark.parametrize('mode', TASKS['tray_lift'].variations[1:])
def test_a_variation_of_the_tray_lift_succeeds(mode):
    assert episode('tray_lift', 1, mode).truth.success


@pytest.mark.parametrize(('task', 'mode'), EVERY_CAMERA_ONLY)
def test_a_failure_that_only_cameras_see_leaves_the_commands_alone(task, mode):
    nominal, failed = episode(task, 1, 'none').commands, episode(task, 1, mode).commands
    length = min(len(nominal), len(failed))
    assert np.array_equal(nominal[:length], failed[:length])


def test_a_slip_cannot_be_read_off_the_joints():
    nominal = episode('tray_lift', 1, 'none').joints
    failed = episode('tray_lift', 1, 'slip').joints
    length = min(len(nominal), len(failed))
    difference = np.abs(nominal[:length] - failed[:length]).max(axis=0)
    grippers = [JOINT_NAMES.index(f'{side}_gripper') for side in ('left', 'right')]
    assert difference.max() < 0.01  # rad
    assert difference[grippers].max() < 0.002  # m; handles differ in width by 5 mm


def test_a_failure_that_the_arms_make_is_in_the_commands():
    nominal = episode('tray_lift', 1, 'none').commands
    failed = episode('tray_lift', 1, 'missed_grasp').commands
    assert not np.array_equal(nominal[:100], failed[:100])


def test_the_same_seed_gives_the_same_joints_to_the_bit():
    again = play(Simulation('tray_lift', 1, 'slip'))
    assert np.array_equal(again.joints, episode('tray_lift', 1, 'slip').joints)
    assert again.truths == episode('tray_lift', 1, 'slip').truths


def test_another_seed_gives_another_episode():
    first, second = episode('tray_lift', 0, 'none'), episode('tray_lift', 1, 'none')
    assert not np.array_equal(first.joints[0], second.joints[0])


def test_progress_rises_and_falls_when_the_tray_is_lost():
    nominal = [truth.progress for truth in episode('tray_lift', 1, 'none').truths]
    assert nominal[-1] == 1.0 and min(np.diff(nominal)) > -0.1
    slipped = [truth.progress for truth in episode('tray_lift', 1, 'slip').truths]
    assert max(slipped) > 0.35 and slipped[-1] < 0.2


@pytest.mark.parametrize(('task', 'mode', 'seed'), RETRIED)
def test_a_retry_recovers_on_the_scene_as_it_is(task, mode, seed):
    simulation = Simulation(task, seed, mode)
    assert not play(simulation).truth.success
    assert simulation.retry(), simulation.retry_refusal
    assert not simulation.done and not simulation.truth().failed
    truth = play(simulation).truth
    assert truth.success and truth.attempt == 2
    assert truth.manifest_time is not None  # of the first attempt


def test_a_retry_is_refused_with_a_reason_when_the_payload_has_fallen():
    simulation = Simulation('tray_lift', 0, 'payload_tips')
    play(simulation)
    assert not simulation.retry()
    assert 'payload no longer stands' in simulation.retry_refusal
    assert simulation.done and simulation.truth().attempt == 1


def test_a_retry_may_fail_again_when_asked_to():
    simulation = Simulation('tray_lift', 2, 'slip')
    play(simulation)
    assert simulation.retry('slip')
    again = play(simulation).truth
    assert again.attempt == 2 and not again.success and again.inject_time > 8.0


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'seed': -1}, 'seed is -1, must be a whole number'),
        ({'seed': 1.5}, 'seed is 1.5, must be a whole number'),
        ({'image_size': (8, 128)}, r'image_size is \(8, 128\), must be'),
    ],
)
def test_a_bad_argument_is_refused_with_what_is_allowed(arguments, message):
    with pytest.raises(ValueError, match=message):
        Simulation('tray_lift', **arguments)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'task': 'juggle'}, "task is 'juggle', must be one of tray_lift, cube_transfer"),
        ({'robot': 'arm'}, "robot is 'arm', must be one of viperx"),
        (
            {'failure': 'late_release'},
            "failure is 'late_release', must be one of none, .* for task 'tray_lift'",
        ),
    ],
)
def test_unknown_task_robot_or_failure_lists_those_known(arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        Simulation(**{'task': 'tray_lift', **arguments})


def test_joints_are_reported_by_name_and_time_counts_control_steps():
    simulation = Simulation('tray_lift')
    simulation.step()
    assert tuple(simulation.joint_positions()) == JOINT_NAMES
    assert simulation.time == pytest.approx(0.02)
    assert simulation.joint_positions() == simulation.joint_positions()


def test_images_are_the_same_for_the_same_seed(renders):
    def look() -> dict[str, np.ndarray]:
        simulation = Simulation('tray_lift', 3, image_size=(96, 128))
        for _ in range(5):
            simulation.step()
        images = simulation.render()
        simulation.close()
        return images

    first, second = look(), look()
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
