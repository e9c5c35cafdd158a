# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import array

import numpy as np
from support.errors import raises

from viva_ros.core.image_checks import FrozenPicture, PictureSettings, check_picture

S = 1_000_000_000
SETTINGS = PictureSettings()


def gradient() -> np.ndarray:
    row = np.linspace(0, 255, 64).astype(np.uint8)
    return np.repeat(np.repeat(row[None, :, None], 48, axis=0), 3, axis=2)


def flat(level: int) -> np.ndarray:
    return np.full((48, 64, 3), level, np.uint8)


def test_ordinary_image_is_accepted() -> None:
    assert check_picture(gradient(), SETTINGS) is None


def test_black_saturated_and_covered_images_are_rejected() -> None:
    assert check_picture(flat(3), SETTINGS) == 'black: brightest 1 % at 3 of 255, at least 16'
    assert check_picture(flat(255), SETTINGS) == (
        'saturated: darkest 1 % at 255 of 255, at most 240'
    )
    assert check_picture(flat(90), SETTINGS) == 'covered: contrast 0 of 255, at least 6'


def test_dark_scene_with_an_object_is_accepted() -> None:
    night = flat(4)
    night[10:20, 10:20] = 60
    assert check_picture(night, SETTINGS) is None


def test_black_image_with_hot_pixels_is_rejected() -> None:
    hot = flat(0)
    hot[0, 0] = 255
    assert (check_picture(hot, SETTINGS) or '').startswith('black')


def test_same_bytes_with_moving_joint_mean_frozen_camera() -> None:
    frozen = FrozenPicture(SETTINGS)
    reasons = [frozen.update(i * S // 10, b'same', {'waist': 0.02 * i}) for i in range(13)]
    # over 1 s old and over .05 rad moved first at 1.1 s: .22 rad
    assert reasons[:11] == [None] * 11
    assert reasons[11] == 'frozen: same picture for 1.1 s while a joint moved by 0.22'


def test_same_bytes_with_resting_robot_are_accepted() -> None:
    frozen = FrozenPicture(SETTINGS)
    assert not any(frozen.update(i * S, b'same', {'waist': 0.3}) for i in range(20))


def test_full_turn_of_a_joint_with_same_bytes_is_accepted() -> None:
    frozen = FrozenPicture(SETTINGS)
    for i in range(8):
        turned = 3.14 if i % 2 else -3.14  # .003 rad apart
        assert frozen.update(i * S, b'same', {'wheel': turned}) is None


def test_joint_motion_there_and_back_counts_as_motion() -> None:
    frozen = FrozenPicture(SETTINGS)
    for i, position in enumerate([0.0, 0.2, 0.0]):
        reason = frozen.update(i * S, b'same', {'waist': position})
    assert 'moved by 0.20' in (reason or '')


def test_new_image_or_time_jump_resets_the_frozen_check() -> None:
    frozen = FrozenPicture(SETTINGS)
    frozen.update(0, b'one', {'waist': 0.0})
    assert frozen.update(5 * S, b'two', {'waist': 1.0}) is None
    assert frozen.update(6 * S, b'two', {'waist': 1.0}) is None
    assert frozen.update(1 * S, b'two', {'waist': 2.0}) is None
    frozen.reset()
    assert frozen.update(9 * S, b'two', {'waist': 3.0}) is None


def test_frozen_check_accepts_memoryview_and_bytes() -> None:
    frozen = FrozenPicture(SETTINGS)
    frozen.update(0, memoryview(array.array('B', b'same')), {'waist': 0.0})
    assert frozen.update(2 * S, b'same', {'waist': 1.0}) is not None


def test_invalid_picture_settings_are_refused() -> None:
    with raises('setting-out-of-range', 'frozen_after', 0.0, 'above 0'):
        FrozenPicture(PictureSettings(frozen_after=0.0))
