# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Rows 30 and 41 of the fault table: bytes of a second participant that are no message.

Monitor, supervisor and black box run for the whole file. After each attack all three live, send
heartbeats, and judge the next good messages.
"""

import time

import pytest
import rclpy
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.context import Context
from rclpy.node import Node
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Bool, Header, String
from support.hostile_participant import malformed, publish_malformed
from support.publishing_robot import PublishingRobot
from support.raw_requests import RawRequests
from support.ros import PATIENT_MONITOR, PATIENT_SUPERVISOR, wait

from viva_ros.msg import Alert, Episode, SupervisorState, Value
from viva_ros.nodes import qos

NODES = ('monitor', 'supervisor', 'black_box')


class Watch:
    """The three nodes, and a robot that publishes good messages."""

    def __init__(self, listener, processes, calibration, folder):
        self.listener, self.log = listener, processes.log
        self.robot = PublishingRobot(listener)
        self.beats = {
            name: listener.listen(Header, f'{name}/heartbeat', qos.HEARTBEAT) for name in NODES
        }
        started = (
            processes.start(
                'fake_monitor.py', '--ros-args', '-p', 'transport:=raw', '-p', 'rate:=5.0',
                *PATIENT_MONITOR,
            ),
            processes.start(
                'viva_ros.nodes.supervisor', '--ros-args', '-p', f'calibration:={calibration}',
                '-p', 'robot.executing_topic:=executing', *PATIENT_SUPERVISOR,
            ),
            processes.start(
                'viva_ros.nodes.black_box', '--ros-args', '-p', f'folder:={folder}',
            ),
        )  # fmt: skip
        self.processes = dict(zip(NODES, started, strict=True))
        self.folder = folder
        self.wait_alive()

    def wait_alive(self) -> None:
        """Wait until all nodes have sent further heartbeats, and the monitor a known value."""
        counts = {name: len(self.beats[name]) for name in NODES}
        for name in NODES:
            self.wait(lambda name=name: len(self.beats[name]) > counts[name] + 2, f'{name} lives')
        self.robot.change.clear()
        values, count = self.robot.values, len(self.robot.values)
        try:
            self.wait(lambda: len(values) > count + 2 and self.robot.known(), 'values')
        except AssertionError as error:
            error.add_note(f'{len(values) - count} values, newest: {values[-1:]}')
            raise

    def wait(self, condition, what: str) -> None:
        """Wait; fail at once if a process has ended."""

        def holds() -> bool:
            for name, process in self.processes.items():
                assert process.poll() is None, f'{name} has ended: {self.log(process)[-2000:]}'
            return bool(condition())

        wait(holds, what)

    def count(self, node: str, topic: str) -> int:
        """Return how many messages on a topic a node could not read, as it reports."""
        entries = self.robot.entries(f'/{node}: messages')
        values = [pair.value for e in entries[-1:] for pair in e.values if pair.key == topic]
        return int(values[0]) if values else 0

    def foreign_alerts(self) -> int:
        """Return how many alerts of other nodes the black box reports."""
        entries = self.robot.entries('/black_box: recording')
        values = [p.value for e in entries[-1:] for p in e.values if p.key == 'foreign_alerts']
        return int(values[0]) if values else 0


@pytest.fixture(scope='module')
def watch(running, new_calibration, tmp_path_factory):
    made = Watch(*running, new_calibration, tmp_path_factory.mktemp('box'))
    yield made
    made.robot.close()


@pytest.fixture
def stranger(watch):
    """Return the node of the test; its publishers are destroyed after the test."""
    node = watch.listener
    before = set(node.publishers)
    yield node
    for publisher in set(node.publishers) - before:
        node.destroy_publisher(publisher)


MONITOR_FIRST = [
    pytest.param(node, marks=() if node == 'monitor' else pytest.mark.slow) for node in NODES
]
TOPICS = [
    ('black_box', 'alert', Alert(), qos.LATCHED),
    ('supervisor', 'value', Value(), qos.RELIABLE),
    ('supervisor', 'executing', Bool(), qos.RELIABLE),
    ('monitor', 'episode', Episode(), qos.LATCHED),
    ('monitor', 'joint_states', JointState(name=['a'], position=[1.0]), qos.JOINTS),
    ('monitor', 'head/image_raw', Image(data=bytes(range(64))), qos.IMAGE),
]  # fmt: skip


@pytest.mark.parametrize(('node', 'topic', 'message', 'profile'), TOPICS)
def test_malformed_message_is_counted_and_ends_no_node(
    watch, stranger, node, topic, message, profile
):
    before = watch.count(node, f'/{topic}')
    sent = publish_malformed(stranger, topic, message, profile, watch.wait)
    assert sent >= 3

    def counted() -> bool:
        if profile in (qos.IMAGE, qos.JOINTS):  # of a small depth: later ones replace them
            publish_malformed(stranger, topic, message, profile, watch.wait)
        return watch.count(node, f'/{topic}') > before

    watch.wait(counted, f'{node} to count malformed messages on {topic}')
    text = watch.robot.entries(f'/{node}: messages')[-1].message
    assert f'/{topic} cannot be read' in text and 'listener' in text, text
    watch.wait_alive()


def test_black_box_records_its_supervisor_after_malformed_and_foreign(watch, stranger):
    publish_malformed(stranger, 'alert', Alert(text='half'), qos.LATCHED, watch.wait)
    publish_malformed(stranger, 'value', Value(task='half'), qos.RELIABLE, watch.wait)
    states = stranger.listen(SupervisorState, 'supervisor/state', qos.LATCHED_READER)
    watch.wait(lambda: states, 'the session of the supervisor')

    def publish(node: Node, session: int) -> None:
        good = Alert(level=Alert.ALARM, kind='drop', text='the value fell', session_id=session)
        alerts = node.create_publisher(Alert, 'alert', qos.LATCHED)
        watch.wait(alerts.get_subscription_count, 'the black box')
        good.header.stamp = node.get_clock().now().to_msg()
        alerts.publish(good)

    publish(stranger, 2**63)
    watch.wait(lambda: watch.foreign_alerts() == 1, 'the black box to count the foreign alert')
    assert not list(watch.folder.glob('*alert_*'))
    assert 'of /listener, session 9223372036854775808, are not recorded' in watch.log(
        watch.processes['black_box']
    )
    namesake = Node('supervisor', context=stranger.context)
    try:
        publish(namesake, states[-1].session_id)
        watch.wait(lambda: list(watch.folder.glob('*alert_*')), 'a recording')
    finally:
        namesake.destroy_node()
    watch.wait_alive()


@pytest.mark.parametrize('node', MONITOR_FIRST)
@pytest.mark.parametrize(
    ('service', 'kind'),
    [
        ('set_parameters', SetParameters),
        pytest.param('get_state', GetState, marks=pytest.mark.slow),
        pytest.param('change_state', ChangeState, marks=pytest.mark.slow),
    ],
)
def test_malformed_request_ends_no_node_and_the_next_is_served(
    watch, stranger, node, service, kind
):
    requests = RawRequests(stranger, f'/{node}/{service}', kind)
    watch.wait(requests.matched, f'the service {service}')
    assert sum(requests.send(data) for data in malformed(kind.Request())) >= 3
    answer = stranger.call(GetState, f'/{node}/get_state', GetState.Request())
    assert answer.current_state.label == 'active'
    watch.wait_alive()


@pytest.mark.parametrize('node', MONITOR_FIRST)
def test_parameter_of_unknown_type_is_counted_and_ends_no_node(watch, stranger, node):
    client = stranger.create_client(SetParameters, f'/{node}/set_parameters')
    watch.wait(client.service_is_ready, 'the service')
    value = ParameterValue(type=77)  # rclpy raises a ValueError in its own callback
    client.call_async(SetParameters.Request(parameters=[Parameter(name='task', value=value)]))
    name = f'/{node}/set_parameters'
    watch.wait(lambda: watch.count(node, name), f'{node} to count the request')
    watch.wait_alive()


def test_flood_of_malformed_alerts_leaves_the_heartbeats(watch, stranger):
    publisher = stranger.create_publisher(Alert, 'alert', qos.LATCHED)
    half = bytes(serialize_message(Alert(text='x' * 500)))[:300]
    before = {name: len(watch.beats[name]) for name in NODES}
    counted = watch.count('black_box', '/alert')
    for _ in range(3000):  # 1 kHz, or as fast as this machine
        publisher.publish(half)
        time.sleep(0.001)
    for name in ('monitor', 'supervisor'):
        watch.wait(lambda name=name: len(watch.beats[name]) > before[name] + 5, name)
    watch.wait(lambda: watch.count('black_box', '/alert') > counted + 100, 'the counts')
    lines = watch.log(watch.processes['black_box']).count('messages on /alert cannot be read')
    assert lines < 30, 'the log has a line each 10 s at most'
    watch.wait_alive()


def test_topics_of_another_type_end_no_node(watch):
    context = Context()
    rclpy.init(context=context)
    node = rclpy.create_node('supervisor', context=context)  # a name that the black box looks for
    for topic in ('alert', 'value', 'episode', 'joint_states', 'head/image_raw', 'clock'):
        publisher = node.create_publisher(String, topic, qos.LATCHED)
        publisher.publish(String(data='x'))
    watch.wait_alive()
    rclpy.shutdown(context=context)
