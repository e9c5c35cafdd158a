# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

from viva_ros.core.black_box import MIB, BlackBoxLimits, EventRecording, Kept, Ring, rotate

LIMITS = BlackBoxLimits(before=10.0, after=4.0, memory=1.0, file=1.0, folder=3.0)


def kept(steady: float, topic: str = '/value', size: int = 8) -> Kept:
    return Kept(topic, steady, round(steady * 1e9), bytes(size))


def test_what_is_older_than_the_span_goes() -> None:
    ring = Ring(LIMITS, set())
    for second in range(21):
        ring.add(kept(float(second)))
    assert [message.steady for message in ring.content()] == [float(s) for s in range(10, 21)]
    assert ring.size == 11 * 8


def test_the_oldest_make_room_where_memory_is_short() -> None:
    ring = Ring(LIMITS, set())
    for second in range(5):
        ring.add(kept(float(second), size=MIB // 2))
    assert [message.steady for message in ring.content()] == [3.0, 4.0]


def test_the_last_latched_message_from_before_stays_and_comes_first() -> None:
    ring = Ring(LIMITS, {'/episode'})
    ring.add(kept(0.0, '/episode'))
    ring.add(kept(1.0, '/episode'))
    ring.add(kept(30.0))
    assert [(m.topic, m.steady) for m in ring.content()] == [('/episode', 1.0), ('/value', 30.0)]


def test_a_recording_goes_on_after_the_last_alert() -> None:
    take = EventRecording(LIMITS, 100.0)
    assert not take.is_over(103.9)
    take.extend(103.0)
    assert not take.is_over(106.9) and take.is_over(107.0)
    assert not take.cut


def test_a_recording_that_is_too_large_is_closed_and_says_so() -> None:
    take = EventRecording(LIMITS, 100.0)
    take.add(MIB)
    assert not take.is_over(100.0)
    take.add(1)
    assert take.is_over(100.0) and take.cut


def test_the_oldest_recordings_go_but_none_that_a_person_has_labelled() -> None:
    sizes = {'a': MIB, 'b': MIB, 'c': MIB, 'd': MIB, 'e': MIB}
    assert rotate(sizes, {'a'}, LIMITS) == (['b', 'c'], True)
    assert rotate(sizes, {'a', 'b', 'c', 'd'}, LIMITS) == (['e'], False)
    assert rotate({'a': MIB}, set(), LIMITS) == ([], True)
