# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0


from std_msgs.msg import String
from support.ros import wait

from viva_ros.nodes.inputs import Arrivals, FrameShare, advise

ONE = (b'a',)


def info(number: int | None, publisher: bytes | None = b'a') -> dict:
    """Return a message info as Kilted has it, or without a publisher as Jazzy has it."""
    found: dict = {'publication_sequence_number': number}
    return found if publisher is None else found | {'publisher_gid': {'data': publisher}}


def filled(*numbers: int, before: tuple[bytes, ...] = ONE) -> Arrivals:
    """Return arrivals without publisher ids; the topic had the publishers ``before``."""
    arrivals = Arrivals()
    arrivals.take(before)
    for number in numbers:
        arrivals.note(info(number, None))
    return arrivals


def test_gaps_in_the_numbers_count_as_lost_frames():
    arrivals = Arrivals()
    for number in (7, 8, 12):  # 9, 10 and 11 are lost; what was before 7 was not for us
        arrivals.note(info(number))
    assert arrivals.take(ONE) == FrameShare(sent=6, received=3)
    assert arrivals.take(ONE) == FrameShare(0, 0)
    arrivals.note(info(20))
    assert arrivals.take(ONE) == FrameShare(sent=8, received=1)


def test_each_named_publisher_is_counted_apart():
    arrivals = Arrivals()
    for number, publisher in ((100, b'a'), (1, b'b'), (101, b'a'), (2, b'b')):
        arrivals.note(info(number, publisher))
    assert arrivals.take((b'a', b'b')) == FrameShare(4, 4)


def test_sent_is_unknown_without_sequence_numbers():
    arrivals = Arrivals()
    for _ in range(5):
        arrivals.note(info(None))
    share = arrivals.take(ONE)
    assert share == FrameShare(None, 5) and not share.is_low
    arrivals.note(info(3))
    assert arrivals.take(ONE) == FrameShare(1, 1)


def test_one_unnamed_publisher_is_counted_by_number():
    arrivals = filled(7, 8, 12)
    assert arrivals.take(ONE) == FrameShare(sent=6, received=3)
    arrivals.note(info(20, None))
    assert arrivals.take(ONE) == FrameShare(sent=8, received=1)


def test_two_unnamed_publishers_leave_sent_unknown():
    assert filled(1, 100, 2, before=(b'a', b'b')).take((b'a', b'b')) == FrameShare(None, 3)


def test_an_unnamed_publisher_that_changes_leaves_sent_unknown():
    arrivals = filled(1, 500)  # of another publisher, which had sent 499 before it was found
    assert arrivals.take((b'b',)) == FrameShare(None, 2)
    arrivals.note(info(501, None))
    assert arrivals.take((b'b',)) == FrameShare(1, 1)


def test_the_first_period_of_an_unnamed_publisher_is_unknown():
    assert filled(1, 2, before=()).take(ONE) == FrameShare(None, 2)


def test_frames_of_a_real_publisher_are_counted(listener):
    arrivals, received = Arrivals(), []

    def store(message: String, info: dict) -> None:
        arrivals.note(info)
        received.append(message)

    def take() -> FrameShare:
        found = listener.get_publishers_info_by_topic('picture')
        return arrivals.take([bytes(publisher.endpoint_gid) for publisher in found])

    listener.create_subscription(String, 'picture', store, 10)
    publisher = listener.create_publisher(String, 'picture', 10)
    wait(lambda: len(listener.get_publishers_info_by_topic('picture')) == 1, 'the publisher')
    take()
    for count in range(1, 4):
        publisher.publish(String())
        wait(lambda count=count: len(received) == count, f'message {count}')
    assert take() == FrameShare(3, 3)


def test_fewer_than_half_is_low_and_too_few_to_tell_is_not():
    assert (
        FrameShare(30, 14).is_low and not FrameShare(30, 15).is_low and not FrameShare(3, 0).is_low
    )
    assert not FrameShare(None, 0).is_low


def test_the_advice_names_the_profile_where_it_is_not_set(monkeypatch):
    monkeypatch.delenv('FASTDDS_DEFAULT_PROFILES_FILE', raising=False)
    told = advise('/head/image_raw', FrameShare(30, 3))
    assert told.startswith('3 of 30 frames of /head/image_raw came: FASTDDS_DEFAULT_PROFILES_FILE')
    assert 'fastdds_shm.xml' in told
    monkeypatch.setenv('FASTDDS_DEFAULT_PROFILES_FILE', '/a/file.xml')
    assert 'is not set' not in advise('/head/image_raw', FrameShare(30, 3))
