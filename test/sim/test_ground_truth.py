# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Duration of evidence, and the hold time of success."""

from viva_ros.sim.ground_truth import STALLED, SUCCESS_HELD, Record, Truth
from viva_ros.sim.success import SceneVerdict


def verdict(placed: bool = False, evidence: str = '', healthy: bool = False) -> SceneVerdict:
    return SceneVerdict(0.5, placed, evidence, healthy, False)


def truth(record: Record) -> Truth:
    return record.truth(1.0, 'tray_lift', 0, 'none', 'carry', 1)


def test_evidence_lasts_until_the_task_is_healthy():
    record = Record(0.02)
    record.update(verdict(evidence='the tray is tilted'), 1.0, 0.0, False)
    record.update(verdict(), 1.1, 0.0, False)
    assert truth(record).failed and truth(record).manifest_time == 1.0
    record.update(verdict(healthy=True), 1.2, 0.0, False)
    assert not truth(record).failed and truth(record).manifest_time == 1.0


def test_success_requires_the_hold_time():
    record = Record(0.02)
    steps = round(SUCCESS_HELD * 50)
    for _ in range(steps - 1):
        record.update(verdict(placed=True), 1.0, 0.0, False)
    assert not record.success
    for _ in range(2):
        record.update(verdict(placed=True), 1.0, 0.0, False)
    assert record.success
    record.update(verdict(), 1.0, 0.0, False)
    assert not record.success


def test_stall_is_a_failure_until_it_ends_and_a_pause_is_not():
    record = Record(0.02)
    record.update(verdict(), 1.0, STALLED - 0.1, False)
    assert not truth(record).failed
    record.update(verdict(), 1.0, STALLED + 0.1, False)
    assert truth(record).failed and truth(record).evidence == 'the arms have stopped'
    record.update(verdict(), 1.0, 0.0, False)
    assert not truth(record).failed


def test_evidence_on_the_way_home_is_ignored():
    record = Record(0.02)
    record.update(verdict(evidence='the tray is tilted'), 1.0, 0.0, True)
    assert not truth(record).failed and truth(record).manifest_time is None
