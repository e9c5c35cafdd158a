# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from viva_ros.model import latents
from viva_ros.model.inference import LeanViVa
from viva_ros.model.latents import Goals, Targets
from viva_ros.model.viva import ViVa


def test_joints_repeat_over_frame_and_last_repeat_is_cut() -> None:
    frame = latents.inject_proprio(torch.tensor([[0.1, 0.2, 0.3]]), (2, 2, 2))
    assert frame.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3, 0.1, 0.2, 0.3, 0.1, 0.2])


def test_reading_averages_complete_repeats_only() -> None:
    frame = torch.tensor([[1.0, 2.0, 3.0, 3.0, 6.0, 9.0, 100.0, 100.0]]).view(1, 2, 2, 2)
    assert latents.read_proprio(frame, 3).tolist() == [[2.0, 4.0, 6.0]]


def test_value_frame_is_constant_and_read_by_mean() -> None:
    frame = latents.inject_value(torch.tensor([-0.75]), (2, 1, 2))
    assert frame.flatten().tolist() == [-0.75] * 4
    assert latents.read_value(torch.tensor([[[[1.0, 2.0]], [[3.0, -4.0]]]])).tolist() == [0.5]


def test_more_joints_than_elements_are_refused() -> None:
    with pytest.raises(ValueError, match='5 joints do not fit a latent frame of 4 elements'):
        latents.inject_proprio(torch.zeros(1, 5), (1, 2, 2))


def test_video_frames_are_in_documented_order() -> None:
    shape, targets = (1, 1, 2), Targets(('proprio', 'value'), 3)
    images = torch.tensor([3.0, 4.0, 5.0]).view(1, 3, 1, 1, 1).expand(1, 3, *shape)
    clean = latents.conditioning(torch.tensor([[0.1, 0.2]]), images)
    ends = targets.clean(Goals(torch.tensor([-0.9]), torch.tensor([[0.6, 0.7]])), shape)
    video = torch.cat([clean, ends], dim=2)[0, 0, :, 0]  # (frames, 2)
    expected = [[0, 0], [0.1, 0.2], [3, 3], [4, 4], [5, 5], [0.6, 0.7], [-0.9, -0.9]]
    torch.testing.assert_close(video, torch.tensor(expected))


@given(
    st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=16),
    st.tuples(st.integers(1, 4), st.integers(2, 6), st.integers(2, 6)),
)
def test_injected_joints_are_read_back(joints: list[float], shape: tuple[int, int, int]) -> None:
    if len(joints) > shape[0] * shape[1] * shape[2]:
        return
    given_joints = torch.tensor([joints])
    frame = latents.inject_proprio(given_joints, shape)
    assert frame.shape == (1, *shape)
    torch.testing.assert_close(latents.read_proprio(frame, len(joints)), given_joints)


SHAPE = (1, 1, 2)
APART = Targets(('proprio', 'value', 'success'), 3)
ALL = ('proprio', 'images', 'value', 'success')


@pytest.mark.parametrize('names', [('value', 'proprio'), ('proprio',), ('value', 'reward'), ()])
def test_invalid_targets_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match='must be of'):
        Targets(names, 3)


def test_targets_have_frame_count_and_output_names() -> None:
    assert (Targets(('value',), 3).count, Targets(('value',), 3).outputs) == (1, ('value',))
    assert (Targets(ALL, 3).count, APART.count) == (6, 3)
    assert APART.outputs == ('value', 'forecast', 'progress', 'success')


def test_clean_frames_are_in_target_order() -> None:
    later = torch.tensor([3.0, 4.0]).view(1, 2, 1, 1, 1).expand(1, 2, *SHAPE)
    goals = Goals(torch.tensor([-0.5]), torch.tensor([[0.1, 0.2]]), torch.tensor([0.0]), later)
    frames = Targets(ALL, 2).clean(goals, SHAPE)[0, 0, :, 0]
    # v = -.5 in a success: half remains, 2 * .5 - 1 = 0; no failure is -1.
    expected = [[0.1, 0.2], [3, 3], [4, 4], [0, 0], [-1, -1]]
    torch.testing.assert_close(frames, torch.tensor(expected))


@pytest.mark.parametrize(('latent', 'failed', 'progress', 'success'), [
    (-1.0, 0.0, 1.0, 1.0),  # G = 0: done
    (-0.25, 0.0, 0.25, 1.0),  # G = .75 on a success
    (0.75, 1.0, 0.25, 0.0),  # G = 1.75 on a failure: .75 remains, and 1
])  # fmt: skip
def test_value_is_progress_plus_success_minus_one(
    latent: float, failed: float, progress: float, success: float
) -> None:
    goals = Goals(torch.tensor([latent]), torch.tensor([[0.1, 0.2]]), torch.tensor([failed]))
    found = APART.read(APART.clean(goals, SHAPE), 2)
    assert float(found['progress']) == pytest.approx(progress)
    assert float(found['success']) == pytest.approx(success)
    assert float(found['value']) == pytest.approx(-latent)


def test_way_home_has_a_value_below_that_of_the_start() -> None:
    # G = 1.4: the way home takes .4 of an attempt; V = -.4 + P(success) - 1, progress stays 0.
    goals = Goals(torch.tensor([0.4]), torch.tensor([[0.1, 0.2]]), torch.tensor([0.0]))
    found = APART.read(APART.clean(goals, SHAPE), 2)
    assert float(found['progress']) == 0.0
    assert float(found['value']) == pytest.approx(-0.4)
    # A model that was trained without a way home keeps its progress at 0 or above in V.
    kept = Targets(APART.names, 3, lowest_progress=0.0)
    assert float(kept.read(kept.clean(goals, SHAPE), 2)['value']) == pytest.approx(0.0)


def test_progress_loss_uses_successes_alone() -> None:
    errors = torch.tensor([[1.0, 2.0, 3.0], [5.0, 40.0, 7.0]])
    goals = Goals(torch.zeros(2), torch.zeros(2, 2), torch.tensor([0.0, 1.0]))
    parts = APART.weigh(errors, goals)
    assert (float(parts['proprio']), float(parts['value'])) == (3.0, (2.0 + 0.0) / 2)
    assert float(parts['success']) == 5.0
    assert float(parts['total']) == 0.5 * 3.0 + 1.0 + 5.0


def test_batch_of_failures_has_no_progress_loss() -> None:
    goals = Goals(torch.zeros(1), torch.zeros(1, 2), torch.ones(1))
    assert float(APART.weigh(torch.tensor([[1.0, 9.0, 2.0]]), goals)['value']) == 0.0


def test_missing_goal_of_target_is_refused() -> None:
    with pytest.raises(ValueError, match='goals of success are missing'):
        APART.clean(Goals(torch.zeros(1), torch.zeros(1, 2)), SHAPE)


@pytest.mark.parametrize('names', [('value',), ('proprio', 'value', 'success'), ALL])
def test_lean_model_equals_model(make_viva: Callable[..., ViVa], names: tuple[str, ...]) -> None:
    viva = make_viva(targets=names)
    images = torch.randint(0, 256, (2, 3, 32, 32, 3)).byte()
    joints, task = torch.tensor([[0.5, 0.2, 2.0], [-0.5, 0.4, 2.0]]), torch.tensor([0, 1])
    with torch.inference_mode():
        expected, given = viva(images, joints, task), LeanViVa(viva)(images, joints, task)
    assert len(expected) == len(viva.outputs)
    for name, one, other in zip(viva.outputs, expected, given, strict=True):
        torch.testing.assert_close(one, other, atol=2e-5, rtol=0, msg=name)
