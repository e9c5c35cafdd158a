# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import json
import math
import subprocess

import pytest
from support.checkout import checkout_child

from benchmarks.overload.main import Load, Played, row, table
from viva_ros.bringup.processes import environment
from viva_ros.msg import Alert, Value


def value(latency):
    """Return a value that is known after a latency, s, or unknown."""
    if math.isnan(latency):
        return Value(status=Value.STATUS_UNKNOWN, reason_kind='engine')
    return Value(status=Value.STATUS_OK, latency=latency)


def played(success, latencies=(), alerts=(), levels=()):
    return Played(success, 2.0, 0.001, [value(one) for one in latencies], list(alerts), levels)


def test_row_counts_values_and_outcomes():
    alarm = Alert(level=Alert.ALARM, kind='drop')
    retry = Alert(level=Alert.ALARM, kind='retry_dry_run')
    lost = Alert(level=Alert.UNKNOWN, kind='unknown')
    episodes = [
        played(True, [0.1, 0.2, 0.3, math.nan]),
        played(True, [], [alarm, retry]),
        played(False, [], [alarm, retry]),
        played(False, [], [lost], [(1.0, Alert.UNKNOWN), (4.0, Alert.UNKNOWN)]),
        played(False, [], [], [(1.0, Alert.UNKNOWN), (4.0, Alert.OK)]),
    ]
    found = row(Load(2), episodes, 3, 1.0)
    assert (found['rate_hz'], found['age_p50_ms'], found['age_p95_ms']) == (0.3, 200.0, 290.0)
    assert (found['unknown_share'], found['unknown_reasons']) == (0.25, {'engine': 1})
    assert (found['successes'], found['false_alarms'], found['retries_of_successes']) == (2, 1, 1)
    outcomes = ('failures', 'detected', 'unknown_instead', 'missed')
    assert [found[name] for name in outcomes] == [3, 1, 1, 1]
    assert '| 2 x cores | 1 | 0.3 Hz | 200, 290 ms | 25 % | 3 | 1 of 2 | 1, 1, 1 of 3 |' in (
        table([found])
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_overload_kills_no_engine_and_raises_no_false_alarm(tmp_path):
    out = tmp_path / 'overload.json'
    options = ('--tiny', '--out', out)
    child = checkout_child('benchmarks.overload.main', *options, env=environment())
    done = subprocess.run(**child, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(out.read_text())['rows']
    assert found['restarts'] == 0
    assert found['false_alarms'] == found['retries_of_successes'] == 0
    assert found['successes'] == found['failures'] == 1
    assert (found['unknown_share'] > 0.0) == bool(found['unknown_reasons'])
