# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

from dataclasses import replace

import numpy as np
import pytest

from viva_ros.core.errors import InputError
from viva_ros.core.observation import Observation
from viva_ros.engine import shared_memory as wire
from viva_ros.engine.api import EngineInfo
from viva_ros.engine.preprocessing import letterbox

INFO = EngineInfo(('head', 'wrist'), ('waist',), 1.0, (5, 7), ('lift',), 'f' * 16, 'fake')
FITS = replace(INFO, fits=True)


def both(info: EngineInfo) -> tuple[wire.ObservationMemory, wire.ObservationMemory]:
    ours, theirs = wire.pair()
    made = wire.share(ours, info), wire.take(theirs, info)
    ours.close()
    theirs.close()
    return made


def seen() -> Observation:
    head = np.random.default_rng(0).integers(0, 256, (12, 14, 3), dtype=np.uint8)
    return Observation({'head': head[:, 2:], 'wrist': head[:5, :7]}, {'waist': 0.1}, {})


def test_pictures_are_fitted_before_they_are_handed_over() -> None:
    ours, theirs = both(INFO)
    ours.put(seen())
    found = theirs.observation()
    np.testing.assert_array_equal(found.images['head'], letterbox(seen().images['head'], (5, 7)))
    np.testing.assert_array_equal(found.images['wrist'], seen().images['wrist'])
    assert found.proprio == {'waist': 0.1}


def test_to_an_engine_that_fits_them_itself_they_go_as_they_came_and_change_in_size() -> None:
    ours, theirs = both(FITS)
    for observation in (seen(), Observation({**seen().images, 'head': seen().images['wrist']},
                                            {'waist': 0.2}, {})):  # fmt: skip
        ours.put(observation)
        found = theirs.observation()
        for camera in INFO.cameras:
            np.testing.assert_array_equal(found.images[camera], observation.images[camera])


def test_a_picture_too_large_to_be_handed_over_as_it_came_is_fitted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wire, 'LARGEST', 3 * 10 * 10)
    ours, theirs = both(FITS)
    ours.put(seen())  # the head's has 12 x 12 pixels
    found = theirs.observation()
    np.testing.assert_array_equal(found.images['head'], letterbox(seen().images['head'], (5, 7)))


@pytest.mark.parametrize('shape', [(0, 5), (-3, 5), (1 << 20, 1 << 20)])
def test_a_size_that_cannot_be_is_refused(shape: tuple[int, int]) -> None:
    ours, theirs = both(FITS)
    ours.put(seen())
    ours._shapes[1] = shape
    with pytest.raises(InputError, match=f'{shape[1]} x {shape[0]} pixels'):
        theirs.observation()
