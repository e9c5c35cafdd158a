# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support.errors import raises

from viva_ros.sim import recording

MODES = recording.kinds(('slip', 'stall', 'miss'), ('none', 'pause', 'slow'), {'slip'})


def test_modes_have_four_kinds() -> None:
    assert MODES == {
        'nominal': ['none'], 'variation': ['pause', 'slow'], 'camera': ['slip'],
        'arms': ['stall', 'miss'],
    }  # fmt: skip


def test_drawn_modes_have_the_documented_shares() -> None:
    drawn = Counter(recording.mode_of(seed, MODES) for seed in range(4000))
    variations = {'pause': 0.075, 'slow': 0.075}
    expected = {'none': 0.40, **variations, 'slip': 0.25, 'stall': 0.1, 'miss': 0.1}
    for mode, share in expected.items():
        deviation = (share * (1 - share) / 4000) ** 0.5
        assert drawn[mode] / 4000 == pytest.approx(share, abs=4 * deviation)


def test_shares_without_failures_keep_their_proportion() -> None:
    drawn = Counter(recording.mode_of(seed, MODES, successes=True) for seed in range(4000))
    assert set(drawn) == {'none', 'pause', 'slow'}
    assert drawn['none'] / 4000 == pytest.approx(0.40 / 0.55, abs=0.03)


def test_equal_seed_draws_equal_mode_and_delay() -> None:
    assert [recording.mode_of(seed, MODES) for seed in range(50)] == [
        recording.mode_of(seed, MODES) for seed in range(50)
    ]
    assert recording.retry_delay(7) == recording.retry_delay(7)


def test_a_third_of_the_seeds_retry_after_0_3_to_2_5_s() -> None:
    delays = [recording.retry_delay(seed) for seed in range(2000)]
    retried = [delay for delay in delays if delay is not None]
    assert len(retried) / 2000 == pytest.approx(0.35, abs=0.045)
    assert 0.3 <= min(retried) <= max(retried) <= 2.5


@pytest.mark.parametrize(
    ('arguments', 'code', 'named'),
    [
        ({'noise': 51.0}, 'recorder-noise-range', ['noise is 51.0', '[0, 50]']),
        ({'robot': 'arm'}, 'recorder-robot-unknown', ["robot is 'arm'", 'viperx']),
        ({'failure': 'fly'}, 'failure-unknown', ["failure is 'fly'", "task 'tray_lift'"]),
    ],
)
def test_invalid_argument_of_a_plan_is_refused(
    tmp_path: Path, arguments: dict[str, Any], code: str, named: list[str]
) -> None:
    with raises(code, *named):
        recording.plan('tray_lift', [0], tmp_path, **arguments)


def test_recording_with_no_processes_is_refused() -> None:
    with raises('recorder-processes-range', 'processes is 0', 'at least 1'):
        recording.record([], processes=0)
