# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import math
import signal
import time
from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Float32
from support.ros import PATIENCE, wait
from visualization_msgs.msg import MarkerArray

from viva_ros.msg import Episode, FutureProprioception, Value
from viva_ros.nodes import qos
from viva_ros.nodes.convert import to_time

RAW = ('--ros-args', '-p', 'transport:=raw')
ALL = ('head', 'left_wrist', 'right_wrist', 'joint_states')


def known(values):
    return [value for value in values if value.status == Value.STATUS_OK]


def unknown(values, kind):
    return [value for value in values if value.reason_kind == kind]


@pytest.fixture
def level(tmp_path: Path):
    def set_level(brightness: float) -> None:
        (tmp_path / 'level').write_text(str(brightness))

    set_level(160.0)
    return set_level


def test_value_and_forecast_are_estimated_from_inputs(processes, listener, level, tmp_path):
    values = listener.listen(Value, 'value', qos.RELIABLE)
    scalars = listener.listen(Float32, 'value_scalar', qos.RELIABLE)
    forecasts = listener.listen(FutureProprioception, 'future_proprioception', qos.RELIABLE)
    ahead = listener.listen(JointState, 'future_joint_states', qos.RELIABLE)
    plots = listener.listen(Image, 'value_plot', qos.RELIABLE)
    markers = listener.listen(MarkerArray, 'value_markers', qos.RELIABLE)
    diagnoses = listener.listen(DiagnosticArray, '/diagnostics', qos.RELIABLE)
    episode = listener.create_publisher(Episode, 'episode', qos.LATCHED)
    episode.publish(Episode(id='e1', task='tray_lift', executing=True))
    processes.start('fake_source.py', tmp_path, *ALL)
    monitor = processes.start('fake_monitor.py', *RAW)
    wait(lambda: len(known(values)) > 10 and plots and markers, 'values and pictures')
    value = known(values)[-1]
    # Brightness 160 of 255 is 160 / 127.5 - 1.
    assert value.value == pytest.approx(160.0 / 127.5 - 1.0, abs=0.02)
    assert (value.task, value.engine, value.episode_id) == ('tray_lift', 'f' * 16, 'e1')
    assert value.executing
    assert list(value.input_names) == list(ALL)
    assert all(stamp == value.header.stamp for stamp in value.input_stamps)
    assert value.skew == 0.0 and 0.0 < value.latency < 10.0
    assert scalars[-1].data == pytest.approx(value.value, abs=0.02)
    assert list(forecasts[-1].joint_names) == ['left_waist', 'right_waist']
    # left_waist is 0.1 ahead of right_waist, whatever their order in the message.
    assert forecasts[-1].positions[0] - forecasts[-1].positions[1] == pytest.approx(0.1)
    assert forecasts[-1].horizon == 1.0
    assert ahead[-1].header.stamp.sec - forecasts[-1].header.stamp.sec in (0, 1, 2)
    assert (plots[-1].width, plots[-1].height, plots[-1].encoding) == (480, 240, 'rgb8')
    assert 'value +0.25' in markers[-1].markers[0].text
    wait(
        lambda: any('values in the last ' in s.message for d in diagnoses for s in d.status),
        'a diagnosis of the values',
    )
    keys = {v.key for d in diagnoses for status in d.status for v in status.values}
    assert {'rate_hz', 'latency_p95_ms', 'skew_max_ms', 'age_s'} <= keys
    assert {'memory_peak_mib', 'handles', 'engine_restarts'} <= keys
    monitor.send_signal(signal.SIGINT)
    assert monitor.wait(PATIENCE) == 0


def test_killed_camera_is_unknown_until_it_returns(processes, listener, level, tmp_path):
    values = listener.listen(Value, 'value', qos.RELIABLE)
    processes.start('fake_source.py', tmp_path, 'left_wrist', 'right_wrist', 'joint_states')
    head = processes.start('fake_source.py', tmp_path, 'head')
    processes.start('fake_monitor.py', *RAW)
    wait(lambda: known(values), 'a value')
    head.kill()
    lack = 'newest message of /head/image_raw is'  # a busy machine may lack another one, too

    def without_head():
        return [v for v in unknown(values, 'stale') if v.reason.startswith(lack)]

    wait(without_head, 'unknown')
    lost = without_head()[0]
    assert math.isnan(lost.value) and not lost.input_names
    processes.start('fake_source.py', tmp_path, 'head')
    wait(lambda: values[-1].status == Value.STATUS_OK, 'recovery')


def test_camera_stamps_beyond_slop_are_unknown(processes, listener, level, tmp_path):
    values = listener.listen(Value, 'value', qos.RELIABLE)
    processes.start('fake_source.py', tmp_path, 'left_wrist', 'right_wrist', 'joint_states')
    (tmp_path / 'other').mkdir()
    (tmp_path / 'other' / 'late').write_text('0.05')
    processes.start('fake_source.py', tmp_path / 'other', 'head')
    processes.start('fake_monitor.py', *RAW, '-p', 'sync.slop:=0.02')
    wait(lambda: unknown(values, 'skew'), 'skew')
    assert 'at most 0.02 s is allowed' in unknown(values, 'skew')[0].reason


def test_black_camera_is_unknown(processes, listener, level, tmp_path):
    values = listener.listen(Value, 'value', qos.RELIABLE)
    processes.start('fake_source.py', tmp_path, *ALL)
    processes.start('fake_monitor.py', *RAW)
    wait(lambda: known(values), 'a value')
    level(-60.0)
    wait(lambda: unknown(values, 'input'), 'unknown')
    assert '/head/image_raw: black' in unknown(values, 'input')[-1].reason


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_hanging_engine_is_reported_and_node_ends_on_signal(
    processes, listener, level, tmp_path, number
):
    values = listener.listen(Value, 'value', qos.RELIABLE)
    processes.start('fake_source.py', tmp_path, *ALL)
    monitor = processes.start('fake_monitor.py', *RAW, FAKE_ENGINE='hang')
    wait(lambda: unknown(values, 'engine'), 'unknown')
    assert 'has not answered' in unknown(values, 'engine')[0].reason
    monitor.send_signal(number)
    assert monitor.wait(PATIENCE) == 0


def test_estimate_that_was_under_way_in_a_stop_is_unknown(processes, listener, level, tmp_path):
    values = listener.listen(Value, 'value', qos.RELIABLE)
    processes.start('fake_source.py', tmp_path, *ALL)
    monitor = processes.start('fake_monitor.py', *RAW, FAKE_ENGINE='slow')
    wait(lambda: known(values), 'a value')

    def is_told() -> bool:
        monitor.send_signal(signal.SIGSTOP)
        time.sleep(2.0)
        monitor.send_signal(signal.SIGCONT)
        time.sleep(1.0)
        return any(' s old is late' in value.reason for value in unknown(values, 'stale'))

    wait(is_told, 'a late estimate')
    assert max(value.latency for value in known(values)) <= 1.3
    count = len(known(values))
    wait(lambda: len(known(values)) > count + 2, 'further values')


def test_failing_engine_is_unknown_with_its_reason(processes, listener, level, tmp_path):
    values = listener.listen(Value, 'value', qos.RELIABLE)
    processes.start('fake_source.py', tmp_path, *ALL)
    processes.start('fake_monitor.py', *RAW, FAKE_ENGINE='fail')
    wait(lambda: len(unknown(values, 'engine')) > 3, 'unknown')
    assert unknown(values, 'engine')[-1].reason == 'the engine is out of order: get another'


def test_namespaces_and_remapping_work(processes, listener, level, tmp_path):
    values = listener.listen(Value, '/left_cell/worth', qos.RELIABLE)
    processes.start('fake_source.py', tmp_path, *ALL, '--ros-args', '-r', '__ns:=/left_cell')
    processes.start('fake_monitor.py', *RAW, '-r', '__ns:=/left_cell', '-r', 'value:=worth')
    wait(lambda: known(values), 'a value')


def test_simulated_time_jumps_back_and_stops(processes, listener, level, tmp_path):
    """/clock of a recording that is replayed, then paused."""
    values = listener.listen(Value, 'value', qos.RELIABLE)
    clock = listener.create_publisher(Clock, '/clock', qos.RELIABLE)
    shift = 0

    def tick() -> None:
        clock.publish(Clock(clock=to_time(time.time_ns() + shift * 1_000_000_000)))

    timer = listener.create_timer(0.02, tick)
    processes.start('fake_source.py', tmp_path, *ALL)
    processes.start('fake_monitor.py', *RAW, '-p', 'use_sim_time:=true')
    wait(lambda: known(values), 'a value')
    count, before = len(values), known(values)[-1].header.stamp.sec
    shift = -1000
    (tmp_path / 'late').write_text(str(shift))
    wait(lambda: known(values[count:]), 'a value')
    wait(lambda: known(values)[-1].header.stamp.sec < before - 900, 'a value of the earlier time')
    timer.cancel()
    wait(lambda: unknown(values, 'paused'), 'the pause')
    assert '/clock stands still' in unknown(values, 'paused')[0].reason
    timer.reset()
    wait(lambda: values[-1].status == Value.STATUS_OK, 'a value again')


def test_episode_task_loads_engine_while_values_unknown(processes, listener, tmp_path):
    (tmp_path / 'level').write_text('160')
    values = listener.listen(Value, 'value', qos.RELIABLE)
    episode = listener.create_publisher(Episode, 'episode', qos.LATCHED)
    processes.start('fake_source.py', tmp_path, *ALL)
    monitor = processes.start('fake_monitor.py', *RAW, FAKE_LOADING='1.5')
    wait(lambda: known(values), 'a value')
    episode.publish(Episode(id='e1', task='fold', executing=True))

    def changing():
        return [v for v in values if "of task 'fold'" in v.reason]

    wait(changing, 'the change of the engine')
    assert changing()[0].status == Value.STATUS_UNKNOWN
    assert changing()[0].task == 'fold' and changing()[0].reason_kind == 'engine'
    wait(lambda: known(values)[-1].task == 'fold', 'values of the task')
    episode.publish(Episode(id='e2', task='somersault', executing=True))
    wait(lambda: 'no engine for somersault' in values[-1].reason, 'the lack of an engine')
    episode.publish(Episode(id='e3', task='tray_lift', executing=True))
    wait(lambda: known(values)[-1].task == 'tray_lift', 'values of the first task again')
    wait(lambda: known(values)[-1].episode_id == 'e3', 'the third episode')
    assert monitor.poll() is None
