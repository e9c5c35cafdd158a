# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The table of topics and services equals the entities that the nodes create."""

import re

import pytest
import rclpy
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile

from viva_ros.nodes import qos
from viva_ros.nodes.black_box import BlackBox
from viva_ros.nodes.monitor import Monitor
from viva_ros.nodes.sim import SimRobotNode
from viva_ros.nodes.supervisor import Supervisor

CAMERA = 'head'
NAMES = {
    'joint_states_topic': 'joint_states', 'robot.executing_topic': 'executing',
    'robot.stopped_topic': 'stopped', 'retry.name': 'retry', 'camera': CAMERA,
}  # fmt: skip
OF_RCLPY = ('/rosout', '/parameter_events', 'transition_event')
OPTIONAL = {('bond', node) for node in qos.MANAGED}  # if the package bond is installed


def type_name(kind):
    package, folder, *_ = kind.__module__.split('.')
    return f'{package}/{folder}/{kind.__name__}'


def key_of(profile):
    profile = profile if isinstance(profile, QoSProfile) else QoSProfile(depth=profile)
    lease = profile.liveliness_lease_duration.nanoseconds
    return profile.depth, profile.reliability, profile.durability, profile.liveliness, lease


def filled(name, node):
    for word, value in NAMES.items():
        name = name.replace(f'{{{word}}}', value)
    return name.replace('~', node)


def expected_topics():
    found = set()
    for one in qos.TOPICS:
        for way, end in (('publishes', one.published), ('subscribes', one.subscribed)):
            nodes, profile = end or ((), None)
            found |= {
                (node, way, filled(one.name, node), one.type, key_of(profile)) for node in nodes
            }
    return found


def expected_services():
    return {
        (node, way, filled(one.name, node), one.type)
        for one in qos.SERVICES
        for way, nodes in (('serves', one.servers), ('calls', one.clients))
        for node in nodes
        if '/action/' not in one.type  # made of services of its own
    }


@pytest.fixture
def made(monkeypatch, tmp_path):
    """Record what nodes create; yield the topics and the services found so far."""
    topics, services = set(), set()

    def watch(name, found, way, place):
        create = getattr(Node, name)

        def create_and_record(node, kind, topic, *rest, **options):
            full = node.resolve_topic_name(topic)
            if not full.endswith(OF_RCLPY):
                own = full if full == '/diagnostics' else full.removeprefix('/')
                end = (node.get_name(), way, own, type_name(kind))
                found.add((*end, key_of(rest[place])) if place is not None else end)
            return create(node, kind, topic, *rest, **options)

        monkeypatch.setattr(Node, name, create_and_record)

    watch('create_publisher', topics, 'publishes', 0)
    watch('create_subscription', topics, 'subscribes', 1)
    watch('create_service', services, 'serves', None)
    watch('create_client', services, 'calls', None)
    monkeypatch.setenv('ROS_HOME', str(tmp_path))
    rclpy.init(signal_handler_options=rclpy.signals.SignalHandlerOptions.NO)
    yield topics, services
    rclpy.try_shutdown()


def parameters(**values):
    return [Parameter(name.replace('__', '.'), value=value) for name, value in values.items()]


def configure(kind, **values):
    node = kind(parameter_overrides=parameters(autostart=False, **values))
    node.trigger_configure()
    assert node.configured, node.refusal
    return node


def end(node):
    node.close()
    node.destroy_node()


def of(nodes, found):
    return {one for one in found if one[0] in nodes}


@pytest.mark.medium
def test_monitor_creates_what_the_table_lists(made):
    for transport in ('raw', 'compressed'):
        end(configure(Monitor, transport=transport, input_timeout=0.0, isolate=False))
    found = renamed(of(['monitor'], made[0]))
    missing = of(['monitor'], expected_topics()) - found
    assert {(one[2], one[0]) for one in missing} <= OPTIONAL
    assert found - expected_topics() == set()


def test_supervisor_creates_what_the_table_lists(made):
    topics = {'robot__executing_topic': 'executing', 'robot__stopped_topic': 'stopped'}
    for way in ('trigger', 'cancel'):
        end(configure(Supervisor, retry__by=way, **topics))
    missing = of(['supervisor'], expected_topics()) - made[0]
    assert {(one[2], one[0]) for one in missing} <= OPTIONAL
    assert of(['supervisor'], made[0]) - expected_topics() == set()
    own = {one for one in of(['supervisor'], made[1]) if not is_of_every_node(one)}
    assert own == of(['supervisor'], expected_services())


def test_black_box_creates_what_the_table_lists(made, tmp_path):
    end(configure(BlackBox, folder=str(tmp_path)))
    missing = of(['black_box'], expected_topics()) - made[0]
    assert {(one[2], one[0]) for one in missing} <= OPTIONAL
    assert of(['black_box'], made[0]) - expected_topics() == set()


def test_simulated_robot_creates_what_the_table_lists(made):
    robot = SimRobotNode()
    robot.close()
    robot.destroy_node()
    assert renamed(of(['sim'], made[0])) == of(['sim'], expected_topics())
    own = {one for one in of(['sim'], made[1]) if not is_of_every_node(one)}
    assert own == of(['sim'], expected_services())


def renamed(found):
    """Return the entities with one name for all cameras."""
    cameras = {one[2].split('/')[0] for one in found if '/image_raw' in one[2]}
    assert len(cameras) > 1
    return {(*one[:2], re.sub(rf'^({"|".join(cameras)})/', f'{CAMERA}/', one[2]), *one[3:])
            for one in found}  # fmt: skip


def is_of_every_node(service):
    return service[3].startswith(('rcl_interfaces/', 'lifecycle_msgs/', 'type_description'))
