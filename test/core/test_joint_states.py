# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest
from support.errors import raises

from viva_ros.core.joint_states import jumps, positions_by_name, step_between

pytestmark = pytest.mark.fast

MS = 1_000_000


def test_positions_without_names_for_all_are_none() -> None:
    assert positions_by_name(['a', 'b'], [1.0], '/j') == {}
    assert positions_by_name(['a', 'b'], [], '/j') == {}
    assert positions_by_name(['b', 'a'], [1.0, 2.0], '/j') == {'b': 1.0, 'a': 2.0}


def test_name_twice_is_refused_with_a_remedy() -> None:
    with raises('joint-twice', '/j has joint a twice', 'field: position[0:1]', 'position[1:3]'):
        positions_by_name(['a', 'b', 'a'], [1.0, 2.0, 3.0], '/j')


def test_step_of_a_full_turn_is_none() -> None:
    assert float(step_between(-math.pi, math.pi)) == pytest.approx(0.0)
    assert float(step_between(0.2, 0.2 + 4.0 * math.pi)) == pytest.approx(0.0)
    assert float(step_between(0.2, -0.3)) == pytest.approx(-0.5)


def test_jump_is_a_step_above_the_limit_over_at_least_20_ms() -> None:
    stamps = np.array([0, 1, 100, 120]) * MS
    positions = np.array([[0.0], [0.11], [0.6], [0.75]])
    # Allowed at 6 rad/s: 0.12 over 1 ms (at least 20), 0.594 over 99 ms, 0.12 over 20 ms.
    np.testing.assert_allclose(jumps(stamps, positions, [6.0]), [[0.0], [0.0], [0.15]])
    assert jumps(stamps[:1], positions[:1], [6.0]).shape == (0, 1)
