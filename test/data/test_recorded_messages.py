# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import math
from pathlib import Path

import numpy as np
import pytest
from support.errors import raises

from viva_ros.core.errors import RecordingError
from viva_ros.core.events import Level
from viva_ros.data.bag.writer import RecordingWriter
from viva_ros.data.messages import header, make, to_time
from viva_ros.data.open import open_recording
from viva_ros.data.recorded_messages import TruthMessage, alerts, runs, stamp_of_event, values
from viva_ros.data.recording import Recording
from viva_ros.data.segmentation import Span, within


def moment(
    stamp: int, time: float, failure: str = 'none', manifest: float = math.nan
) -> TruthMessage:
    return TruthMessage(
        stamp, '', 'tray_lift', 1, failure, '', 1, 0.0, False, False, False, time,
        math.nan, math.nan, manifest,
    )  # fmt: skip


def test_truth_is_split_where_its_time_goes_back() -> None:
    moments = [moment(n, time) for n, time in enumerate((0.0, 0.1, 0.2, 0.0, 0.1))]
    assert [[m.stamp for m in run] for run in runs(moments)] == [[0, 1, 2], [3, 4]]
    assert runs([]) == []


def test_truth_of_a_span_is_that_of_its_longest_run() -> None:
    moments = [
        moment(8, 5.0, 'before'), moment(10, 0.0, 'slip'), moment(11, 0.1, 'slip'),
        moment(12, 0.2, 'slip'), moment(13, 0.0, 'next'), moment(20, 0.1, 'next'),
    ]  # fmt: skip
    assert [m.stamp for m in within(moments, Span('x', 8, 20))] == [10, 11, 12]
    assert within(moments, Span('x', 100, 200)) == []


def test_event_stamp_is_extrapolated_from_nearest_message() -> None:
    # The simulation runs at half speed: 0.1 s of it take 0.2 s.
    moments = [moment(round(n * 2e8), n * 0.1, manifest=0.52) for n in range(11)]
    assert stamp_of_event(moments, 'manifest') == pytest.approx(5 * 2e8 + 0.02e9)
    assert math.isnan(stamp_of_event(moments, 'visible'))
    assert math.isnan(stamp_of_event([], 'manifest'))


def a_value(**changed: object) -> object:
    """Return a Value message."""
    content = {
        'header': header(5_000_000_123), 'status': 1, 'value': 0.25,
        'reason_kind': '', 'reason': '', 'task': 'tray_lift', 'episode_id': 'e1',
        'engine': 'f' * 16,
        'executing': False,
        'session_id': 7, 'rate': 10.0, 'latency': 0.1, 'skew': 0.0,
        'progress': math.nan, 'success_probability': math.nan,
        'input_names': ['head', 'joint_states'],
        'input_stamps': [to_time(5_000_000_123), to_time(4_990_000_000)],
        'joint_names': [], 'positions': np.zeros(0), 'forecast': np.zeros(0), 'horizon': math.nan,
    }  # fmt: skip
    return make('viva_ros/msg/Value', **{**content, **changed})


def an_alert(**changed: object) -> object:
    """Return an Alert message."""
    content = {
        'header': header(9), 'level': 3, 'kind': 'drop', 'value': 0.5, 'statistic': 0.75,
        'threshold': 0.25, 'episode_id': 'e1', 'onset': to_time(7), 'text': 'fell', 'retries': 0,
        'retry_budget': 2, 'session_id': 1, 'alpha': 0.05,
        'window_stamps': [], 'window_values': np.zeros(0, np.float32),
        'window_statistics': np.zeros(0, np.float32),
    }  # fmt: skip
    return make('viva_ros/msg/Alert', **{**content, **changed})


def recording_of(folder: Path, value: object, alert: object) -> Recording:
    """Return a recording with both messages."""
    with RecordingWriter(folder / 'r.mcap') as writer:
        writer.write('/cell/value', 'viva_ros/msg/Value', value, 6_000_000_000)
        writer.write('/cell/alert', 'viva_ros/msg/Alert', alert, 6_000_000_000)
    return open_recording(folder / 'r.mcap')


def test_values_and_alerts_equal_after_round_trip(tmp_path: Path) -> None:
    recording = recording_of(tmp_path, a_value(), an_alert())
    (found,) = values(recording)
    assert (found.stamp, found.value, found.known) == (5_000_000_123, 0.25, True)
    assert (found.rate, found.session) == (10.0, 7)
    assert found.inputs == {'head': 5_000_000_123, 'joint_states': 4_990_000_000}
    (event,) = alerts(recording)
    assert (event.level, event.kind, event.stamp, event.onset) == (Level.ALARM, 'drop', 9, 7)
    assert (event.value, event.statistic, event.threshold) == (0.5, 0.75, 0.25)


@pytest.mark.parametrize('level', [7, 186, 255])
def test_alert_of_a_level_that_does_not_exist_is_refused(tmp_path: Path, level: int) -> None:
    recording = recording_of(tmp_path, a_value(), an_alert(level=level))
    with raises('alert-level', 'r.mcap', f'level {level}', '0 to 6', of=RecordingError):
        alerts(recording)


@pytest.mark.parametrize('names', [[], ['head'], ['head', 'head'], ['a', 'b', 'c']])
def test_value_without_a_stamp_for_each_input_is_refused(tmp_path: Path, names: list[str]) -> None:
    recording = recording_of(tmp_path, a_value(input_names=names), an_alert())
    with raises('value-inputs', 'r.mcap', '2 stamps', of=RecordingError):
        values(recording)
