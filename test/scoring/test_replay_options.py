# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import numpy as np
import pytest

from viva_ros.core.observation import Observation
from viva_ros.data.messages import header, make, serialise
from viva_ros.data.recording import Recording, Track, joint_track
from viva_ros.engine.image_decoding import AS_DECLARED, ImageOptions
from viva_ros.scoring.replay import replay

BEGIN, PERIOD = 1_000_000_000_000, 100_000_000  # ns
IMAGE = 'sensor_msgs/msg/Image'


def camera(topic: str, options: ImageOptions) -> Track:
    """Return images whose channels are 30, 60 and a level that differs in each."""
    stamps = [BEGIN + number * PERIOD for number in range(6)]
    data = []
    for number, stamp in enumerate(stamps):
        pixels = np.full((8, 8, 3), (30, 60, 200 + number), np.uint8)
        pixels[::2] //= 2  # not covered
        message = make(
            IMAGE, header=header(stamp), height=8, width=8, encoding='rgb8', is_bigendian=0,
            step=24, data=pixels.reshape(-1),
        )  # fmt: skip
        data.append(serialise(IMAGE, message))
    return Track(topic, IMAGE, stamps, data, options=options)


@pytest.mark.parametrize(('order', 'red'), [('', 30), ('rgb', 30), ('bgr', 200)])
def test_options_of_each_camera_are_used_in_replay(order: str, red: int) -> None:
    stamps = np.arange(6) * PERIOD + BEGIN
    joints = joint_track('/joint_states', stamps, ['a'], np.zeros((6, 1)))
    tracks = [
        camera('/head/image_raw', ImageOptions(color_order=order)),
        camera('/wrist/image_raw', AS_DECLARED), joints,
    ]  # fmt: skip
    recording = Recording(Path('r.mcap'), {track.topic: track for track in tracks}, {}, ())
    found = [
        one.observation for one in replay(recording, ['head', 'wrist'], ['a'], 10.0)
        if isinstance(one.observation, Observation)
    ]  # fmt: skip
    assert len(found) >= 3
    for observation in found:
        assert abs(int(observation.images['head'][1, 0, 0]) - red) <= 5
        assert observation.images['wrist'][1, 0, 0] == 30
