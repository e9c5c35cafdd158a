# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

from dataclasses import replace

import numpy as np
import pytest
from support.errors import raises

from viva_ros.core.errors import (
    ConfigurationError,
    DeviceError,
    EngineError,
    InputError,
    VivaError,
)
from viva_ros.core.observation import Observation
from viva_ros.engine import shared_memory
from viva_ros.engine.api import EngineInfo
from viva_ros.engine.preprocessing import letterbox
from viva_ros.engine.shared_memory import ObservationMemory

INFO = EngineInfo(('head', 'wrist'), ('waist',), 1.0, (5, 7), ('lift',), 'f' * 16, 'fake')
FITS = replace(INFO, fits=True)


def both(info: EngineInfo) -> tuple[ObservationMemory, ObservationMemory]:
    ours, theirs = shared_memory.pair()
    made = shared_memory.share(ours, info), shared_memory.attach(theirs, info)
    ours.close()
    theirs.close()
    return made


def sample() -> Observation:
    head = np.random.default_rng(0).integers(0, 256, (12, 14, 3), dtype=np.uint8)
    return Observation({'head': head[:, 2:], 'wrist': head[:5, :7]}, {'waist': 0.1}, {})


def test_images_are_letterboxed_before_transfer() -> None:
    ours, theirs = both(INFO)
    ours.put(sample())
    found = theirs.observation()
    np.testing.assert_array_equal(found.images['head'], letterbox(sample().images['head'], (5, 7)))
    np.testing.assert_array_equal(found.images['wrist'], sample().images['wrist'])
    assert found.proprio == {'waist': 0.1}


def test_engine_that_letterboxes_gets_images_of_any_size() -> None:
    ours, theirs = both(FITS)
    small = {**sample().images, 'head': sample().images['wrist']}
    for observation in (sample(), Observation(small, {'waist': 0.2}, {})):
        ours.put(observation)
        found = theirs.observation()
        for camera in INFO.cameras:
            np.testing.assert_array_equal(found.images[camera], observation.images[camera])


def test_image_above_size_limit_is_letterboxed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shared_memory, 'MAX_IMAGE', 3 * 10 * 10)
    ours, theirs = both(FITS)
    ours.put(sample())  # the image of the head has 12 x 12 pixels
    found = theirs.observation()
    np.testing.assert_array_equal(found.images['head'], letterbox(sample().images['head'], (5, 7)))


@pytest.mark.parametrize('shape', [(0, 5), (-3, 5), (1 << 20, 1 << 20)])
def test_invalid_shared_image_size_is_refused(shape: tuple[int, int]) -> None:
    ours, theirs = both(FITS)
    ours.put(sample())
    ours._shapes[1] = shape
    with raises('shared-image-size', f'{shape[1]} x {shape[0]}', of=InputError):
        theirs.observation()


class RuleError(ConfigurationError):
    """A class that the other process does not know."""


@pytest.mark.parametrize(
    ('error', 'kind'),
    [
        (InputError('camera-missing', 'camera wrist is missing'), InputError),
        (DeviceError('device-failed', 'device failed again:  CUDA error'), DeviceError),
        (RuleError('rule-unknown', 'rule x is unknown'), ConfigurationError),
    ],
    ids=['input', 'device', 'subclass'],
)
def test_error_crosses_with_class_code_and_text(error: VivaError, kind: type[VivaError]) -> None:
    status, text = shared_memory.read_reply(shared_memory.reply(7, *shared_memory.failure(error)))
    with pytest.raises(VivaError) as raised:
        shared_memory.check_done(status, text)
    assert raised.type is kind
    assert raised.value.args == error.args


def test_library_error_crosses_as_engine_error() -> None:
    with raises('engine-failed', "KeyError('waist')", of=EngineError):
        packet = shared_memory.reply(7, *shared_memory.failure(KeyError('waist')))
        shared_memory.check_done(*shared_memory.read_reply(packet))


def test_done_status_raises_nothing() -> None:
    packet = shared_memory.reply(7, shared_memory.DONE, 'some text')
    shared_memory.check_done(*shared_memory.read_reply(packet))
