# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0


from std_msgs.msg import String
from support.ros import wait

from viva_ros.nodes.inputs import FrameCounter, FrameShare, frame_loss_text

ONE = (b'a',)


def info(number: int | None, publisher: bytes | None = b'a') -> dict:
    """Return a message info as Kilted has it, or without a publisher as Jazzy has it."""
    found: dict = {'publication_sequence_number': number}
    return found if publisher is None else found | {'publisher_gid': {'data': publisher}}


def filled(*numbers: int, before: tuple[bytes, ...] = ONE) -> FrameCounter:
    """Return counter without publisher ids; the topic had the publishers ``before``."""
    counter = FrameCounter()
    counter.collect(before)
    for number in numbers:
        counter.count(info(number, None))
    return counter


def test_gaps_in_the_numbers_count_as_lost_frames():
    counter = FrameCounter()
    for number in (7, 8, 12):  # 9, 10 and 11 are lost; what was before 7 was not for us
        counter.count(info(number))
    assert counter.collect(ONE) == FrameShare(sent=6, received=3)
    assert counter.collect(ONE) == FrameShare(0, 0)
    counter.count(info(20))
    assert counter.collect(ONE) == FrameShare(sent=8, received=1)


def test_each_named_publisher_is_counted_apart():
    counter = FrameCounter()
    for number, publisher in ((100, b'a'), (1, b'b'), (101, b'a'), (2, b'b')):
        counter.count(info(number, publisher))
    assert counter.collect((b'a', b'b')) == FrameShare(4, 4)


def test_sent_is_unknown_without_sequence_numbers():
    counter = FrameCounter()
    for _ in range(5):
        counter.count(info(None))
    share = counter.collect(ONE)
    assert share == FrameShare(None, 5) and not share.is_low
    counter.count(info(3))
    assert counter.collect(ONE) == FrameShare(1, 1)


def test_one_unnamed_publisher_is_counted_by_number():
    counter = filled(7, 8, 12)
    assert counter.collect(ONE) == FrameShare(sent=6, received=3)
    counter.count(info(20, None))
    assert counter.collect(ONE) == FrameShare(sent=8, received=1)


def test_two_unnamed_publishers_leave_sent_unknown():
    assert filled(1, 100, 2, before=(b'a', b'b')).collect((b'a', b'b')) == FrameShare(None, 3)


def test_an_unnamed_publisher_that_changes_leaves_sent_unknown():
    counter = filled(1, 500)  # of another publisher, which had sent 499 before it was found
    assert counter.collect((b'b',)) == FrameShare(None, 2)
    counter.count(info(501, None))
    assert counter.collect((b'b',)) == FrameShare(1, 1)


def test_the_first_period_of_an_unnamed_publisher_is_unknown():
    assert filled(1, 2, before=()).collect(ONE) == FrameShare(None, 2)


def test_frames_of_a_real_publisher_are_counted(listener):
    counter, received = FrameCounter(), []

    def store(message: String, info: dict) -> None:
        counter.count(info)
        received.append(message)

    def take() -> FrameShare:
        found = listener.get_publishers_info_by_topic('picture')
        return counter.collect([bytes(publisher.endpoint_gid) for publisher in found])

    listener.create_subscription(String, 'picture', store, 10)
    publisher = listener.create_publisher(String, 'picture', 10)
    wait(lambda: len(listener.get_publishers_info_by_topic('picture')) == 1, 'the publisher')
    take()
    for count in range(1, 4):
        publisher.publish(String())
        wait(lambda count=count: len(received) == count, f'message {count}')
    assert take() == FrameShare(3, 3)


def test_share_below_half_of_enough_frames_is_low():
    assert (
        FrameShare(30, 14).is_low and not FrameShare(30, 15).is_low and not FrameShare(3, 0).is_low
    )
    assert not FrameShare(None, 0).is_low


def test_frame_loss_text_names_unset_profile(monkeypatch):
    monkeypatch.delenv('FASTDDS_DEFAULT_PROFILES_FILE', raising=False)
    text = frame_loss_text('/head/image_raw', FrameShare(30, 3))
    assert text.startswith(
        '3 of 30 frames of /head/image_raw arrived: FASTDDS_DEFAULT_PROFILES_FILE'
    )
    assert 'fastdds_shm.xml' in text
    monkeypatch.setenv('FASTDDS_DEFAULT_PROFILES_FILE', '/a/file.xml')
    assert 'is not set' not in frame_loss_text('/head/image_raw', FrameShare(30, 3))
