# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
from viva_ros.core.robot_state import RobotReport, executes, stopped


def test_report_without_a_topic_is_never_stale() -> None:
    report = RobotReport('', 2.0, 0.0)
    assert executes(report, 100.0)
    assert stopped(report, 100.0) == report.stale_text(100.0) == ''


def test_report_with_a_topic_becomes_stale() -> None:
    report = RobotReport('/busy', 2.0, 0.0)
    assert executes(report, 0.0) is None
    assert report.stale_text(2.0) == ''  # within the time-out
    assert report.stale_text(2.1) == '/busy is not published yet (limit 2 s): not judged'
    assert stopped(report, 1.0) == '/busy is not published yet'
    report.receive(True, 3.0)
    assert executes(report, 5.0) and report.stale_text(5.0) == ''
    assert stopped(report, 5.0) == 'the robot is stopped'
    assert executes(report, 5.1) is None  # 2.1 s ago
    assert report.stale_text(5.1) == '/busy is not published any more (limit 2 s): not judged'
    assert stopped(report, 5.1) == report.stale_text(5.1)
    report.receive(False, 6.0)
    assert executes(report, 6.0) is False
    assert stopped(report, 6.0) == ''
