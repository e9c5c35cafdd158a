# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""All parts together, as real processes over real DDS."""

import itertools
import json
import math
import time

import pytest
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Bool
from std_srvs.srv import Trigger
from support.fake_monitor import BrightnessEngine
from support.ros import PATIENT_SUPERVISOR, wait

from viva_ros.cli.demo import main as run_demo
from viva_ros.core.detection.thresholds import calibration_file
from viva_ros.core.detection.thresholds import load as load_calibration
from viva_ros.core.events import Level
from viva_ros.data.bag.writer import RecordingWriter
from viva_ros.data.open import open_recording
from viva_ros.engine.factory import load
from viva_ros.engine.resources import engine_folder
from viva_ros.msg import Alert, Episode, Value
from viva_ros.nodes import qos
from viva_ros.nodes.convert import to_ns
from viva_ros.nodes.topic_recorder import Recorder, Topic
from viva_ros.scoring.scorer import score

CAMERAS = ('head', 'left_wrist', 'right_wrist')
RAW = ('--ros-args', '-p', 'transport:=raw')
EQUAL = 1e-6
DISCOVERY = 3_000_000_000  # ns
DEEP = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)


@pytest.fixture
def watch(processes, calibration, tmp_path):
    """Return a function that starts robot, supervisor and monitor, and returns the monitor."""

    def start(*arguments):
        (tmp_path / 'level').write_text('200')
        processes.start('fake_source.py', tmp_path, *CAMERAS, 'joint_states')
        processes.start(
            'viva_ros.nodes.supervisor', '--ros-args', '-p', f'calibration:={calibration}',
            '-p', 'retry.dry_run:=false', '-p', 'alarm.cool_down:=1.0',
            '-p', 'robot.executing_topic:=executing', *arguments,
        )  # fmt: skip
        return processes.start('fake_monitor.py', *RAW)

    return start


def serve_retries(listener) -> list[float]:
    """Serve retries; execution stops for 1 s after each retry."""
    asked = []
    words = listener.create_publisher(Bool, 'executing', qos.RELIABLE)
    at_home = lambda: not asked or time.monotonic() > asked[-1] + 1.0  # noqa: E731
    listener.create_timer(0.1, lambda: words.publish(Bool(data=at_home())))

    def answer(request, response):
        asked.append(time.monotonic())
        response.success = True
        return response

    listener.create_service(Trigger, 'retry', answer)
    return asked


def test_killed_monitor_causes_silence_alert_and_no_retry(
    watch, processes, listener, begin_episode, record_property
):
    asked = serve_retries(listener)
    values = listener.listen(Value, 'value', qos.RELIABLE)
    alerts = listener.listen(Alert, 'alert', qos.LATCHED_READER)
    monitor = watch()
    begin_episode()
    wait(lambda: len(values) > 10 and values[-1].executing, 'values')
    wait(lambda: values[-1].status == Value.STATUS_OK, 'known values')
    monitor.kill()
    wait(
        lambda: alerts and (alerts[-1].kind, alerts[-1].level) == ('silence', Alert.UNKNOWN),
        'the alert of silence',
    )
    assert math.isnan(alerts[-1].value)
    quiet = to_ns(alerts[-1].header.stamp) - to_ns(alerts[-1].onset)
    record_property('silence_s', round(quiet * 1e-9, 3))
    processes.start('fake_monitor.py', *RAW)
    count = len(alerts)
    wait(lambda: len(alerts) > count and alerts[-1].level == Alert.OK, 'recovery')
    assert not asked


def test_score_equals_published_values_and_alerts(
    watch, listener, begin_episode, calibration, tmp_path
):
    asked = serve_retries(listener)
    path = tmp_path / 'live.mcap'
    topics = [Topic(f'{camera}/image_raw', Image, DEEP) for camera in CAMERAS]
    topics += [
        Topic('joint_states', JointState, qos.JOINTS), Topic('value', Value, qos.RELIABLE),
        Topic('alert', Alert, qos.LATCHED_READER), Topic('episode', Episode, qos.LATCHED_READER),
    ]  # fmt: skip
    alerts = listener.listen(Alert, 'alert', qos.LATCHED_READER)
    values = listener.listen(Value, 'value', qos.RELIABLE)
    with RecordingWriter(path) as writer:
        recorder = Recorder(listener, topics, writer)  # first, to record all messages
        watch(*PATIENT_SUPERVISOR)
        begin_episode()
        wait(lambda: all(recorder.counts[topic.name] for topic in topics), 'every topic')
        count = len(values)
        wait(lambda: sum(v.status == Value.STATUS_OK for v in values[count:]) > 25, 'values')
        begin = time.monotonic()

        def retried() -> bool:
            """Fall from a high value, again if a busy machine has missed it."""
            level = 60 if (time.monotonic() - begin) % 15.0 < 12.0 else 200
            (tmp_path / 'level').write_text(str(level))
            return bool(asked)

        wait(retried, 'the retry')
        (tmp_path / 'level').write_text('220')
        wait(lambda: any(a.kind == 'retry_succeeded' for a in alerts), 'the end of the retry')
        done = len(values)
        wait(lambda: any(v.executing for v in values[done:]), 'values that are judged again')
        recorder.stop()
    again = score(open_recording(path), fake_engine(), 'tray_lift', load_calibration(calibration))
    published = [sample for sample in again.samples if sample.published is not None]
    assert sum(math.isfinite(sample.value) for sample in published) > 20
    assert all(difference <= EQUAL for difference in differences(published))
    assert len(again.alarms) == 1
    assert_same_alarms(again)
    paused = [event for event in again.events if event.level == Level.PAUSED]
    assert [e.text for e in paused][-1] == 'not judged: the robot does not execute the task'


def differences(samples):
    """
    Return the differences from the published values, after the discovery of all topics.

    The recorder discovers each topic for itself, so it may lack inputs at first, and again within
    the seconds after the first moment that it has.
    """
    rows = [s for s in samples if s.published is not None and math.isfinite(s.published)]
    rows = list(itertools.dropwhile(lambda s: math.isnan(s.value), rows))
    early = [k for k, s in enumerate(rows) if s.stamp < rows[0].stamp + DISCOVERY]
    missed = [k for k in early if math.isnan(rows[k].value)]
    known = rows[missed[-1] + 1 :] if missed else rows
    return [abs(s.value - s.published) for s in known]


def assert_same_alarms(scores):
    for ours, theirs in zip(scores.alarms, scores.published_alarms, strict=True):
        for name in ('level', 'kind', 'stamp', 'onset', 'episode_id', 'text'):
            assert getattr(ours, name) == getattr(theirs, name)
        for name in ('value', 'statistic', 'threshold'):
            assert getattr(ours, name) == pytest.approx(getattr(theirs, name), abs=EQUAL)


def fake_engine():
    return BrightnessEngine()


@pytest.mark.alone
@pytest.mark.timeout(400)
def test_demo_detects_failure_and_succeeds_after_retry(domain, tmp_path):
    """The real robot, engine, monitor and supervisor: value falls, alert, retry, success."""
    assert run_demo(['--headless', '--out', str(tmp_path)]) == 0
    summary = json.loads((tmp_path / 'summary.json').read_text(encoding='utf-8'))
    assert summary['passed'] and summary['rate_hz'] > 0.0
    assert (tmp_path / 'plot.png').stat().st_size > 10_000
    folder = engine_folder('', 'tray_lift')
    engine = load(folder, 'tray_lift')
    again = score(
        open_recording(tmp_path / 'recording.mcap'), engine, 'tray_lift',
        load_calibration(calibration_file(folder, 'tray_lift')),
        )  # fmt: skip
    found = differences(again.samples)
    assert len(found) > 100  # of about 300
    assert all(difference <= EQUAL for difference in found)
    assert again.alarms
    assert_same_alarms(again)
