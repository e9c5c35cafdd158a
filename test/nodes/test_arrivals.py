# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

from viva_ros.nodes.arrivals import Arrivals, Share, advise


def info(number: int | None, publisher: bytes = b'a') -> dict:
    return {'publication_sequence_number': number, 'publisher_gid': {'data': publisher}}


def test_frames_that_were_sent_and_did_not_come_are_counted_by_their_numbers():
    arrivals = Arrivals()
    for number in (7, 8, 12):  # 9, 10 and 11 are lost; what was before 7 was not for us
        arrivals.note(info(number))
    assert arrivals.take() == Share(sent=6, received=3)
    assert arrivals.take() == Share(0, 0)
    arrivals.note(info(20))
    assert arrivals.take() == Share(sent=8, received=1)


def test_each_publisher_counts_by_itself():
    arrivals = Arrivals()
    for number, publisher in ((100, b'a'), (1, b'b'), (101, b'a'), (2, b'b')):
        arrivals.note(info(number, publisher))
    assert arrivals.take() == Share(4, 4)


def test_a_middleware_that_does_not_number_is_not_accused():
    arrivals = Arrivals()
    for _ in range(5):
        arrivals.note(info(None))
    assert not arrivals.take().is_low


def test_fewer_than_half_is_low_and_too_few_to_tell_is_not():
    assert Share(30, 14).is_low and not Share(30, 15).is_low and not Share(3, 0).is_low


def test_the_advice_names_the_profile_where_it_is_not_set(monkeypatch):
    monkeypatch.delenv('FASTDDS_DEFAULT_PROFILES_FILE', raising=False)
    told = advise('/head/image_raw', Share(30, 3))
    assert told.startswith('3 of 30 frames of /head/image_raw came: FASTDDS_DEFAULT_PROFILES_FILE')
    assert 'fastdds_shm.xml' in told
    monkeypatch.setenv('FASTDDS_DEFAULT_PROFILES_FILE', '/a/file.xml')
    assert 'is not set' not in advise('/head/image_raw', Share(30, 3))
