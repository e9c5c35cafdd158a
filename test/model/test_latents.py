# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from viva_ros.model import latents
from viva_ros.model.latents import Goals, Targets


def test_joints_fill_a_frame_over_and_over_and_the_last_repeat_is_cut() -> None:
    frame = latents.inject_proprio(torch.tensor([[0.1, 0.2, 0.3]]), (2, 2, 2))
    assert frame.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3, 0.1, 0.2, 0.3, 0.1, 0.2])


def test_reading_averages_the_whole_repeats_and_ignores_the_cut_one() -> None:
    frame = torch.tensor([[1.0, 2.0, 3.0, 3.0, 6.0, 9.0, 100.0, 100.0]]).view(1, 2, 2, 2)
    assert latents.read_proprio(frame, 3).tolist() == [[2.0, 4.0, 6.0]]


def test_each_element_of_a_value_frame_is_the_value_and_reading_averages_all() -> None:
    frame = latents.inject_value(torch.tensor([-0.75]), (2, 1, 2))
    assert frame.flatten().tolist() == [-0.75] * 4
    assert latents.read_value(torch.tensor([[[[1.0, 2.0]], [[3.0, -4.0]]]])).tolist() == [0.5]


def test_more_joints_than_elements_are_refused() -> None:
    with pytest.raises(ValueError, match='5 joints do not fit a latent frame of 4 elements'):
        latents.inject_proprio(torch.zeros(1, 5), (1, 2, 2))


def test_the_video_is_blank_joints_images_in_order_then_future_joints_and_value() -> None:
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
def test_joints_read_back_as_they_were_injected(
    joints: list[float], shape: tuple[int, int, int]
) -> None:
    if len(joints) > shape[0] * shape[1] * shape[2]:
        return
    given_joints = torch.tensor([joints])
    frame = latents.inject_proprio(given_joints, shape)
    assert frame.shape == (1, *shape)
    torch.testing.assert_close(latents.read_proprio(frame, len(joints)), given_joints)
