# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import pytest

from viva_ros.core.black_box import (
    MIB,
    BlackBoxLimits,
    EventRecording,
    Kept,
    Ring,
    is_watched,
    rotate,
)

LIMITS = BlackBoxLimits(before=10.0, after=4.0, memory=1.0, file=1.0, folder=3.0)


def kept(steady: float, topic: str = '/value', size: int = 8) -> Kept:
    return Kept(topic, steady, round(steady * 1e9), bytes(size))


def test_messages_older_than_the_span_are_dropped() -> None:
    ring = Ring(LIMITS, set())
    for second in range(21):
        ring.add(kept(float(second)))
    assert [message.steady for message in ring.content()] == [float(s) for s in range(10, 21)]
    assert ring.size == 11 * 8


def test_oldest_messages_are_dropped_at_the_memory_limit() -> None:
    ring = Ring(LIMITS, set())
    for second in range(5):
        ring.add(kept(float(second), size=MIB // 2))
    assert [message.steady for message in ring.content()] == [3.0, 4.0]


def test_last_message_of_a_latched_topic_is_kept_and_first() -> None:
    ring = Ring(LIMITS, {'/episode'})
    ring.add(kept(0.0, '/episode'))
    ring.add(kept(1.0, '/episode'))
    ring.add(kept(30.0))
    assert [(m.topic, m.steady) for m in ring.content()] == [('/episode', 1.0), ('/value', 30.0)]


def test_recording_ends_after_the_last_alert() -> None:
    recording = EventRecording(LIMITS, 100.0)
    assert not recording.is_over(103.9)
    recording.extend(103.0)
    assert not recording.is_over(106.9) and recording.is_over(107.0)
    assert not recording.cut


def test_recording_above_the_size_limit_is_closed_and_cut() -> None:
    recording = EventRecording(LIMITS, 100.0)
    recording.add(MIB)
    assert not recording.is_over(100.0)
    recording.add(1)
    assert recording.is_over(100.0) and recording.cut


def test_rotation_deletes_oldest_recordings_without_a_label() -> None:
    sizes = {'a': MIB, 'b': MIB, 'c': MIB, 'd': MIB, 'e': MIB}
    assert rotate(sizes, {'a'}, LIMITS) == (['b', 'c'], True)
    assert rotate(sizes, {'a', 'b', 'c', 'd'}, LIMITS) == (['e'], False)
    assert rotate({'a': MIB}, set(), LIMITS) == ([], True)


NODES = {b'a': '/supervisor', b'b': '/stranger', b'c': '/other/supervisor'}


@pytest.mark.parametrize(
    ('publisher', 'session', 'answer'),
    [
        (b'a', 2, True),  # of a supervisor that has started again: its state comes later
        (b'b', 1, False),  # it copies the session
        (b'c', 1, False),
        (b'd', 1, None),  # its node is still to be discovered
        (b'', 1, True),  # the middleware tells no GID
        (b'', 2**63, None),
    ],
)
def test_alert_is_of_the_watched_supervisor(publisher, session, answer) -> None:
    assert is_watched(publisher, session, NODES, '/supervisor', {1}) is answer
