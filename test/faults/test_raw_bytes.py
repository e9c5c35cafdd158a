# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Changed bytes on all topics of a watch, from a second participant: all nodes live on.

VIVA_FUZZ_CASES is the number of hundreds of messages, more than 80,000 in scripts/nightly.
Monitor, supervisor and black box run throughout; after each hundred messages all three send
heartbeats.
"""

import os
import random
import time

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from fuzz.message_targets import message_seeds
from fuzz.mutation import of_bytes
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Header
from std_srvs.srv import Trigger
from support.publishing_robot import CAMERAS
from support.ros import PATIENT_MONITOR, PATIENT_SUPERVISOR, wait

from viva_ros.msg import Alert, Episode, Value
from viva_ros.nodes import qos

pytestmark = pytest.mark.slow

HUNDREDS = int(os.environ.get('VIVA_FUZZ_CASES', '10')) // 5 or 1
PERIOD = 0.001  # s
NODES = ('monitor', 'supervisor', 'black_box')
TOPICS = {
    'value': Value, 'alert': Alert, 'episode': Episode, 'joint_states': JointState,
    'head/image_raw': Image,
}  # fmt: skip
#: Shorter than the padding that their head announces: Fast CDR reads beyond them.
SHORTEST = (b'\0\1\0\1', b'\0\1\0\2', b'\0\1\0\3', b'\0\0\0\3', b'')


class Watch:
    """The nodes, a robot, and the publishers of a stranger."""

    def __init__(self, node, processes, calibration, folder) -> None:
        # This process subscribes to none of TOPICS: it would read the same bytes.
        (folder / 'level').write_text('160')
        processes.start('fake_source.py', folder, *CAMERAS, 'joint_states')
        self.requests: list[object] = []
        self.diagnoses = node.listen(DiagnosticArray, '/diagnostics', qos.RELIABLE)
        self.log = processes.log
        node.create_service(Trigger, 'retry', self._answer)
        self.beats = {n: node.listen(Header, f'{n}/heartbeat', qos.HEARTBEAT) for n in NODES}
        self.publishers = {
            topic: node.create_publisher(kind, topic, qos.RELIABLE)
            for topic, kind in TOPICS.items()
        }
        monitor = processes.start(
            'fake_monitor.py', '--ros-args', '-p', 'transport:=raw', *PATIENT_MONITOR
        )
        supervisor = processes.start(
            'viva_ros.nodes.supervisor', '--ros-args', '-p', f'calibration:={calibration}',
            '-p', 'retry.dry_run:=false', '-p', 'robot.executing_topic:=executing',
            *PATIENT_SUPERVISOR,
        )  # fmt: skip
        box = processes.start(
            'viva_ros.nodes.black_box', '--ros-args', '-p', f'folder:={folder}',
            '-p', 'limits.memory:=16.0', '-p', 'limits.folder:=50.0',
        )  # fmt: skip
        self.processes = dict(zip(NODES, (monitor, supervisor, box), strict=True))
        self.wait_for_values()
        self.check_lives()

    def wait_for_values(self) -> None:
        """Wait until the monitor reports further known values."""
        count = len(self.diagnoses)

        def known() -> bool:
            return any(
                one.name == '/monitor: value' and one.level == DiagnosticStatus.OK
                for array in self.diagnoses[count + 3 :] for one in array.status
            )  # fmt: skip

        wait(known, 'values')

    def check_lives(self, sent: bytes = b'') -> None:
        """Wait for two further heartbeats of all nodes; fail at once if one has ended."""
        before = {name: len(beats) for name, beats in self.beats.items()}

        def lives() -> bool:
            for name, process in self.processes.items():
                said = f'{name}, last {sent.hex()}: {self.log(process)[-2000:]}'
                assert process.poll() is None, said
            return all(len(beats) > before[name] + 1 for name, beats in self.beats.items())

        wait(lives, 'heartbeats of all nodes')

    def _answer(self, request, response):
        self.requests.append(request)
        return response


@pytest.fixture(scope='module')
def watch(running, new_calibration, tmp_path_factory):
    node, processes = running
    made = Watch(node, processes, new_calibration, tmp_path_factory.mktemp('box'))
    yield made
    made.wait_for_values()
    assert made.requests == []
    for name, process in made.processes.items():
        assert 'Traceback' not in made.log(process), name


@pytest.mark.timeout(3600)
def test_changed_bytes_end_no_node(watch, tmp_path):
    seeds, source = message_seeds(tmp_path), random.Random(1)
    for _ in range(HUNDREDS):
        data = b''
        for _ in range(100):
            topic = source.choice(list(TOPICS))
            data = of_bytes(source.choice(list(seeds[TOPICS[topic].__name__])), source)
            watch.publishers[topic].publish(data)
            time.sleep(PERIOD)
        watch.check_lives(data)


@pytest.mark.parametrize('topic', TOPICS)
def test_messages_without_content_end_no_node(watch, topic):
    for data in SHORTEST * 4:
        watch.publishers[topic].publish(data)
        time.sleep(0.05)
    watch.check_lives()
