# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
from viva_ros.core.robot_word import Word, executes, stopped


def test_nobody_who_is_not_asked_is_missed() -> None:
    word = Word(asked=False, timeout=2.0)
    assert executes(word, 100.0)
    assert stopped(word, 100.0) == ''


def test_who_is_asked_must_be_heard() -> None:
    word = Word(asked=True, timeout=2.0)
    assert not executes(word, 0.0)
    assert 'does not say' in stopped(word, 0.0)
    word.hear(True, 1.0)
    assert executes(word, 3.0)
    assert stopped(word, 3.0) == 'the robot is stopped'
    assert not executes(word, 3.1)  # 2.1 s ago
    assert 'does not say' in stopped(word, 3.1)
    word.hear(False, 4.0)
    assert not executes(word, 4.0)
    assert stopped(word, 4.0) == ''
