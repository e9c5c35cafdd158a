# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Replay of recordings of other robots through the code that runs live."""

from pathlib import Path

import pytest
from support.foreign_bags import EPOCH, LEFT, MS, RIGHT, BagOfMessages, still_scene, two_arms

from viva_ros.core.observation import Unknown
from viva_ros.data.open import open_recording
from viva_ros.scoring.replay import replay

pytestmark = pytest.mark.fast


def test_limits_of_the_map_are_those_of_the_simulated_monitor(tmp_path: Path) -> None:
    bag = two_arms('/left/joints', '/right/joints', steps=range(50))
    for k in range(50, 75):  # the right arm dies, the left one and the camera go on
        bag.joints('/left/joints', 20 * MS * k + MS, LEFT, [k / 1000.0] * 2)
        if k % 5 == 0:
            bag.image(20 * MS * k + 9 * MS, k)
    path = bag.write(tmp_path / 'bag')
    text = (
        'cameras: {top: /top/image/compressed}\n'
        'joints: [{topic: /left/joints}, {topic: /right/joints}]\n'
    )
    reasons = []
    for limits in ('{}', '{max_gap: 0.1, max_skew: 5.0}', '{max_gap: 0.9, max_skew: 5.0}'):
        (tmp_path / 'viva_map.yaml').write_text(f'{text}limits: {limits}\n')
        inputs = list(replay(open_recording(path), ['top'], [*LEFT, *RIGHT], 10.0))
        found = [one.observation for one in inputs]
        reasons.append([one.kind for one in found[3:] if isinstance(one, Unknown)])
    skew, stale, none = reasons
    assert set(skew) == {'skew', 'stale'} and set(stale) == {'stale'} and none == []
    assert len(stale) >= len(skew) > 2


@pytest.mark.parametrize('frozen_after', [1.0, 5.0])
def test_still_scene_is_frozen_in_place_after_the_limit(
    tmp_path: Path, frozen_after: float
) -> None:
    path = still_scene().write(tmp_path / 'bag')
    (tmp_path / 'viva_map.yaml').write_text(
        'cameras: {top: /top/image/compressed}\njoints: [{topic: /joint_states}]\n'
        f'limits: {{frozen_after: {frozen_after}}}\n'
    )
    inputs = replay(open_recording(path), ['top'], LEFT, 10.0)
    reasons = [one.observation.reason for one in inputs if isinstance(one.observation, Unknown)]
    assert any('frozen' in reason for reason in reasons) == (frozen_after < 4.0)


def test_known_set_follows_an_unknown_moment_despite_latency(tmp_path: Path) -> None:
    bag = BagOfMessages()
    for k in range(100):
        bag.joints('/joint_states', 20 * MS * k + MS, (*LEFT, *RIGHT), [0.0] * 4)
        if k % 5 == 0 and not 20 <= k < 45:  # images are received 130 ms after their stamp
            bag.image(20 * MS * k + MS, k, 20 * MS * k + 131 * MS)
    path = bag.write(tmp_path / 'bag')
    (tmp_path / 'viva_map.yaml').write_text(
        'cameras: {top: /top/image/compressed}\njoints: [{topic: /joint_states}]\n'
    )
    inputs = list(replay(open_recording(path), ['top'], [*LEFT, *RIGHT], 10.0))
    unknown = [one.stamp for one in inputs if isinstance(one.observation, Unknown)]
    known = [one.stamp - EPOCH for one in inputs if not isinstance(one.observation, Unknown)]
    assert len(unknown) >= 2
    first_after = 20 * MS * 45 + MS
    assert first_after < unknown[-1] - EPOCH, 'the stamp is older than the attempt before it'
    assert [at for at in known if at >= 20 * MS * 20] == [
        20 * MS * k + MS for k in range(45, 100, 5)
    ]
