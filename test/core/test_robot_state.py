# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
from viva_ros.core.robot_state import Word, executes, stopped


def test_report_that_is_not_configured_is_not_missed() -> None:
    word = Word('', 2.0, 0.0)
    assert executes(word, 100.0)
    assert stopped(word, 100.0) == word.silence(100.0) == ''


def test_report_that_is_configured_must_come() -> None:
    word = Word('/busy', 2.0, 0.0)
    assert executes(word, 0.0) is None
    assert word.silence(2.0) == ''  # it may come yet
    assert word.silence(2.1) == '/busy is not published yet (limit 2 s): not judged'
    assert stopped(word, 1.0) == '/busy is not published yet'
    word.hear(True, 3.0)
    assert executes(word, 5.0) and word.silence(5.0) == ''
    assert stopped(word, 5.0) == 'the robot is stopped'
    assert executes(word, 5.1) is None  # 2.1 s ago
    assert word.silence(5.1) == '/busy is not published any more (limit 2 s): not judged'
    assert stopped(word, 5.1) == word.silence(5.1)
    word.hear(False, 6.0)
    assert executes(word, 6.0) is False
    assert stopped(word, 6.0) == ''
