# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import numpy as np
import pytest

from viva_ros.core.errors import InputError
from viva_ros.core.image_checks import PictureSettings
from viva_ros.core.inputs import Selection
from viva_ros.core.observation import Observation, Unknown
from viva_ros.engine.observation_builder import Observer

SECOND = 1_000_000_000
GOOD = np.linspace(0, 255, 64 * 64 * 3).astype(np.uint8).reshape(64, 64, 3)
TOPICS = {'head': '/head/image_raw', 'wrist': '/wrist/image_raw'}


def decode(camera, payload):
    if isinstance(payload, str):
        raise InputError('jpeg-truncated', payload)
    return payload


def content(payload):
    return payload.encode() if isinstance(payload, str) else payload.tobytes()


@pytest.fixture
def observer():
    return Observer(
        TOPICS, PictureSettings(frozen_after=1.0, frozen_joint_motion=0.1), decode, content
    )


def selection(head, wrist, stamp=SECOND, waist=0.0):
    stamps = {'head': stamp, 'wrist': stamp, 'joint_states': stamp}
    return Selection({'head': head, 'wrist': wrist}, {'waist': waist}, stamps)


def test_valid_images_become_observation_with_joints(observer):
    result = observer.observe(selection(GOOD, GOOD[::-1]))
    assert isinstance(result, Observation)
    assert np.array_equal(result.images['wrist'], GOOD[::-1])
    assert (result.proprio, result.stamp) == ({'waist': 0.0}, SECOND)


def test_each_invalid_image_is_named(observer):
    result = observer.observe(selection('JPEG is truncated', np.zeros_like(GOOD)))
    assert isinstance(result, Unknown) and result.kind == 'input'
    first, second = result.reason.split('; ')
    assert first == '/head/image_raw: JPEG is truncated'
    assert second.startswith('/wrist/image_raw: black')


def test_same_image_while_joint_moves_is_frozen(observer):
    for step in range(10):  # 0.1 s and 0.02 rad a step: at 1 s the joint has moved by 0.2
        moving = GOOD + np.uint8(step)
        result = observer.observe(selection(GOOD, moving, step * SECOND // 10, 0.02 * step))
        assert isinstance(result, Observation)
    result = observer.observe(selection(GOOD, GOOD, 11 * SECOND // 10, 0.2))
    assert isinstance(result, Unknown)
    assert result.reason.startswith('/head/image_raw: frozen')
    observer.reset()
    assert isinstance(observer.observe(selection(GOOD, GOOD, 2 * SECOND, 0.3)), Observation)
