# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From an alert to a recording, a label and a training episode, with the real commands."""

import io
import signal
from types import SimpleNamespace

import numpy as np
import pytest
from rosbags.interfaces import QosDurability
from rosbags.rosbag2 import Reader
from std_msgs.msg import String
from support.ros import PATIENCE, PATIENT_MONITOR, PATIENT_SUPERVISOR, wait

from viva_ros.cli.main import main
from viva_ros.data.lerobot.reader import episode_paths
from viva_ros.data.open import open_recording
from viva_ros.data.segmentation import episodes_of
from viva_ros.msg import Alert, Value
from viva_ros.nodes import qos
from viva_ros.nodes.black_box import BlackBox, RCLError

CAMERAS = ('head', 'left_wrist', 'right_wrist')
RAW = ('--ros-args', '-p', 'transport:=raw')
LATCHED = QosDurability.TRANSIENT_LOCAL
MAP = 'rate: 10\nlimits: {max_gap: 5.0, max_skew: 1.0}\n'


@pytest.fixture
def watch(processes, calibration, tmp_path):
    """Start robot, monitor, supervisor and black box; return the latter and its folder."""
    box = tmp_path / 'box'
    (tmp_path / 'level').write_text('200')
    processes.start('fake_source.py', tmp_path, *CAMERAS, 'joint_states')
    processes.start(
        'viva_ros.nodes.supervisor', '--ros-args', '-p', f'calibration:={calibration}',
        *PATIENT_SUPERVISOR,
    )  # fmt: skip
    processes.start('fake_monitor.py', *RAW, *PATIENT_MONITOR)
    process = processes.start(
        'viva_ros.nodes.black_box', '--ros-args', '-p', f'folder:={box}',
        '-p', 'limits.before:=20.0', '-p', 'limits.after:=1.0',
    )  # fmt: skip
    return process, box


def test_alert_recording_is_labelled_and_imported(
    watch, listener, begin_episode, tmp_path, monkeypatch
):
    process, box = watch
    robot = listener.create_publisher(String, 'robot_description', qos.LATCHED)
    robot.publish(String(data='<robot name="r"/>'))  # before the black box subscribes
    values = listener.listen(Value, 'value', qos.RELIABLE)
    alerts = listener.listen(Alert, 'alert', qos.LATCHED_READER)
    begin_episode()
    wait(lambda: sum(v.executing and v.status == Value.STATUS_OK for v in values) > 30, 'values')
    (tmp_path / 'level').write_text('60')
    wait(lambda: any(a.level == Alert.ALARM for a in alerts), 'an alarm')
    assert not list(box.glob('alert_*.mcap')), 'a recording has its final name only when complete'
    wait(lambda: list(box.glob('alert_*.mcap')), 'the recording')
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 0
    (path,) = box.glob('alert_*.mcap')

    recording = open_recording(path)
    assert recording.whole and recording.metadata['viva_alert']['kind'] == 'drop'
    alarm = next(a for a in alerts if a.level == Alert.ALARM)
    assert any(m.level == Alert.ALARM for _, m in recording.messages('alert'))
    known = [m for _, m in recording.messages('value') if m.status == Value.STATUS_OK]
    assert len(known) > 20 and known[0].value > 0.4 > known[-1].value
    assert {f'/{camera}/image_raw' for camera in CAMERAS} <= set(recording.tracks)
    with Reader(path) as reader:
        offers = {one.topic: one.ext.offered_qos_profiles for one in reader.connections}
    assert all(offers.values()), 'each topic has the QoS of its publishers'
    durable = {topic for topic, (offer, *_) in offers.items() if offer.durability == LATCHED}
    assert [m.data for _, m in recording.messages('robot_description')] == ['<robot name="r"/>']
    assert {'/alert', '/episode', '/robot_description'} <= durable
    assert not {'/value', '/joint_states'} & durable

    monkeypatch.setattr('sys.stdin', io.StringIO('e 1.5 it slipped\nf\n'))
    assert main(['label', str(box), '--unlabelled']) == 0
    (episode,) = [one for one in episodes_of(open_recording(path)) if one.label is not None]
    assert not episode.label.success and episode.label.task == 'tray_lift'
    assert episode.name.endswith(alarm.episode_id)
    assert all(len(episode.cameras[camera].stamps) > 10 for camera in CAMERAS)

    (tmp_path / 'map.yaml').write_text(MAP)
    line = ['import', str(path), '--map', str(tmp_path / 'map.yaml')]
    assert main([*line, '--out', str(tmp_path / 'set')]) == 0
    (imported,) = episode_paths(tmp_path / 'set')
    (again,) = episodes_of(open_recording(imported))
    assert not again.label.success and again.label.times['manifest'] == pytest.approx(1.5)
    brightness = np.array([np.mean(again.cameras['head'].images[k]) for k in (0, -1)])
    # The image level fell from 200 to 60 of 255, within the error of the codec.
    assert brightness == pytest.approx([200.0, 60.0], abs=8.0)


def test_topic_that_cannot_be_subscribed_to_is_named_and_ends_no_node():
    """As SROS2 answers without a permission; the wheels cannot enforce it."""

    def deny(*arguments, **options):
        raise RCLError('permission denied')

    said, reports = [], []
    node = SimpleNamespace(
        create_subscription=deny, get_logger=lambda: SimpleNamespace(error=said.append),
        _types={}, _denied=set(), _subscriptions_made=[], _latched=set(), _store=print,
        active=True, _ring=SimpleNamespace(size=0), _fault='', _last_path='', _foreign=0,
    )  # fmt: skip
    BlackBox._subscribe(node, '/executing', ['std_msgs/msg/Bool'])
    BlackBox.diagnose(node, SimpleNamespace(add=lambda *row: reports.append(row)))
    assert 'not recorded: /executing' in said[0] and 'permission denied' in said[0]
    assert node._types == {} and 'allow the black box' in reports[0][2]
