# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checks of `viva doctor`: versions, shared memory, engine, nodes, topics with QoS and rate."""

import os
import platform
import shutil
import time
from collections.abc import Iterable, Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from viva_ros.core.detection.thresholds import calibration_file
from viva_ros.core.errors import VivaError
from viva_ros.doctor.findings import ERROR, OK, WARN, Finding
from viva_ros.doctor.shared_memory import find_leftovers
from viva_ros.engine.api import EngineInfo
from viva_ros.engine.factory import load
from viva_ros.engine.manifest import named, read_calibration
from viva_ros.engine.resources import engine_folder, shared_folder
from viva_ros.nodes import diagnostics, qos
from viva_ros.nodes.malformed_messages import GuardedExecutor
from viva_ros.nodes.registry import PROFILE_VARIABLE
from viva_ros.nodes.robot_topics import IMAGE_TYPES, JOINT_STATE

LIBRARIES: Final = ('numpy', 'opencv-python-headless', 'onnxruntime', 'torch')
ROOM: Final = 16 << 20  # bytes; smaller segments lose images of 640 x 480
MIB: Final = 1 << 20
FREE: Final = 512 * MIB


def versions() -> list[Finding]:
    """Return installed versions, and the ROS settings of this shell."""
    installed = []
    for name in ('viva_ros', 'ros-rclpy', 'ros-fastdds', *LIBRARIES):
        try:
            installed.append(f'{name} {version(name)}')
        except PackageNotFoundError:  # an apt ROS, or an extra that is not installed
            installed.append(f'{name} not from pip')
    names = ('ROS_DISTRO', 'RMW_IMPLEMENTATION', 'ROS_DOMAIN_ID', 'ROS_AUTOMATIC_DISCOVERY_RANGE')
    settings = ', '.join(f'{name}={os.environ.get(name, "(not set)")}' for name in names)
    return [
        Finding(OK, 'versions', f'Python {platform.python_version()}, {", ".join(installed)}'),
        Finding(OK, 'domain', settings),
    ]


def shared_memory() -> list[Finding]:
    """Check the profile of Fast DDS, free shared memory, and segments of dead processes."""
    dead = find_leftovers()
    size = sum(one.size for one in dead) / MIB
    found = [_profile(), _room()]
    if dead:
        text = f'{len(dead)} segments of dead processes hold {size:.0f} MiB in /dev/shm'
        found.append(Finding(WARN, 'shared memory', text, 'viva doctor --clean'))
    else:
        found.append(Finding(OK, 'shared memory', 'no segments of dead processes'))
    return found


def engine(name: str, task: str) -> tuple[list[Finding], EngineInfo | None]:
    """
    Load an engine and its calibration.

    :param name: folder; empty: the shipped engine of the task
    :returns: findings, and the description of the engine; None if it cannot be loaded
    """
    try:
        folder = engine_folder(name, task)
        loaded = load(folder, task)
    except VivaError as error:
        return [Finding(ERROR, 'engine', str(error), 'viva export, or --engine FOLDER')], None
    info = loaded.info
    loaded.close()
    text = f'{folder}: {info.fingerprint} ({info.kind}) for {", ".join(info.tasks)}'
    return [Finding(OK, 'engine', text), _calibration(folder, task)], info


def _calibration(folder: Path, task: str) -> Finding:
    path = calibration_file(folder, task)
    try:
        calibration = read_calibration(path)
        calibration.check(
            named(folder) or calibration.engine, task, calibration.rules, calibration.rate
        )
    except VivaError as error:
        remedy = f'viva calibrate RECORDINGS --engine {folder} --task {task}'
        return Finding(ERROR, 'calibration', str(error), remedy)
    text = (
        f'{path}: {calibration.episodes} successes, alpha {calibration.alpha:g}, '
        f'{calibration.rate:g} Hz'
    )
    if calibration.warnings:
        return Finding(WARN, 'calibration', text, '; '.join(calibration.warnings))
    return Finding(OK, 'calibration', text)


def _profile() -> Finding:
    own = shared_folder('config') / 'fastdds_shm.xml'
    remedy = f'export {PROFILE_VARIABLE}={own}'
    path = os.environ.get(PROFILE_VARIABLE, '')
    if not path:
        text = f'{PROFILE_VARIABLE} is not set: most raw images of 640x480 are lost'
        return Finding(WARN, 'segment', text, remedy)
    try:
        tree = ElementTree.parse(path)
    except (OSError, ElementTree.ParseError) as error:
        return Finding(ERROR, 'segment', f'{path} cannot be read ({error})', remedy)
    sizes = [int(e.text or 0) for e in tree.iter() if e.tag.endswith('segment_size')]
    if not sizes or max(sizes) < ROOM:
        held = f'{max(sizes, default=512 << 10) / MIB:.1f} MiB'
        return Finding(
            WARN, 'segment', f'{path} has segments of {held}, need {ROOM / MIB:.0f} MiB', remedy
        )
    return Finding(OK, 'segment', f'{path}: {max(sizes) / MIB:.0f} MiB for each process')


def _room() -> Finding:
    try:
        free = shutil.disk_usage('/dev/shm').free
    except OSError as error:
        return Finding(WARN, 'shared memory', f'/dev/shm cannot be read ({error})', 'mount it')
    if free < FREE:
        text = f'/dev/shm has {free / MIB:.0f} MiB free, less than {FREE / MIB:.0f}'
        remedy = 'viva doctor --clean; of a container, --shm-size'
        return Finding(WARN, 'shared memory', text, remedy)
    return Finding(OK, 'shared memory', f'/dev/shm has {free / MIB:.0f} MiB free')


NODES = ('monitor', 'supervisor', 'black_box')
INPUTS = (*IMAGE_TYPES, JOINT_STATE)
DISCOVERY = 3.0  # s
RESULTS = {'value': True, 'alert': True}  # whether the subscriber requires reliable


def check_graph(
    namespace: str, cameras: Iterable[str], seconds: float, joints: str = 'joint_states'
) -> list[Finding]:
    """
    Check nodes and topics of a robot.

    :param namespace: of the robot, such as '/cell'
    :param cameras: of the engine; used if no monitor runs
    :param seconds: duration of the measurement of rates
    :param joints: topic of the joint states; used if no monitor runs
    """
    node = Node('viva_doctor', namespace=namespace)
    executor = GuardedExecutor()
    executor.add_node(node)
    try:
        _discover(node, executor)
        inputs = _inputs(node, cameras, joints)
        counts, reported = _measure(node, inputs, executor, seconds)
        findings = [_node(node, name) for name in NODES]
        findings += [_input(node, topic, counts[topic], seconds) for topic in inputs]
        findings += [_result(node, topic, reliable) for topic, reliable in RESULTS.items()]
        return findings + reported
    finally:
        executor.shutdown(timeout_sec=1.0)
        node.destroy_node()


def spin(executor: GuardedExecutor, seconds: float) -> None:
    """Run the callbacks for a time, s."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        executor.spin_once(timeout_sec=max(0.0, end - time.monotonic()))


def _discover(node: Node, executor: GuardedExecutor) -> None:
    """
    Wait for discovery: at least 1.5 s, at most 4.5 s, until the inputs of a monitor are known.

    Topics are discovered one by one after their node, on a loaded machine seconds later.
    """
    spin(executor, 1.0)
    end, known = time.monotonic() + DISCOVERY, _monitor_inputs(node)
    spin(executor, 0.5)
    while time.monotonic() < end:
        earlier, known = known, _monitor_inputs(node)
        if known and known == earlier:
            return
        spin(executor, 0.5)


def _spaces(node: Node, name: str) -> list[str]:
    """Return the namespaces in which a node of this name runs, one for each robot."""
    return sorted(space for one, space in node.get_node_names_and_namespaces() if one == name)


def _inputs(node: Node, cameras: Iterable[str], joints: str) -> list[str]:
    """Return the input topics of the running monitor, or the default topics."""
    if topics := _monitor_inputs(node):
        return topics
    names = [*(f'{camera}/image_raw/compressed' for camera in cameras), joints]
    return [node.resolve_topic_name(name) for name in names]


def _monitor_inputs(node: Node) -> list[str]:
    """Return the input topics of the running monitor; empty without one."""
    if node.get_namespace() not in _spaces(node, 'monitor'):
        return []
    subscribed = node.get_subscriber_names_and_types_by_node('monitor', node.get_namespace())
    return [topic for topic, kinds in subscribed if kinds[0] in INPUTS]


def _measure(
    node: Node, topics: Iterable[str], executor: GuardedExecutor, seconds: float
) -> tuple[Mapping[str, int], list[Finding]]:
    """Return the number of messages of each topic, and warnings of ``/diagnostics``."""
    counts = dict.fromkeys(topics, 0)
    types = dict(node.get_topic_names_and_types())

    def count(topic: str) -> Any:
        def add(_: bytes) -> None:
            counts[topic] += 1

        return add

    for topic in counts:
        if topic in types:
            package, _, name = types[topic][0].split('/')
            kind = getattr(import_module(f'{package}.msg'), name)
            node.create_subscription(kind, topic, count(topic), qos.JOINTS, raw=True)
    received: dict[str, Finding] = {}
    levels = {diagnostics.WARN: WARN, diagnostics.ERROR: ERROR}
    names = {f'{node.get_namespace().rstrip("/")}/{name}' for name in NODES}

    def store(message: DiagnosticArray) -> None:
        for entry in message.status:
            if entry.name.partition(':')[0] in names and entry.level in levels:
                level = levels[entry.level]
                received[entry.name] = Finding(
                    level, entry.name, entry.message, 'see /diagnostics'
                )

    node.create_subscription(DiagnosticArray, '/diagnostics', store, qos.RELIABLE)
    spin(executor, seconds)
    return counts, list(received.values())


def _node(node: Node, name: str) -> Finding:
    own, spaces = node.get_namespace(), _spaces(node, name)
    subject = f'node {own.rstrip("/")}/{name}'
    if spaces.count(own) > 1:
        text = f'{spaces.count(own)} nodes have this name'
        return Finding(ERROR, subject, text, 'end all but one, or start each in a namespace')
    if own in spaces:
        return Finding(OK, subject, 'runs')
    if spaces:
        text = f'runs in another namespace: {", ".join(dict.fromkeys(spaces))}'
        return Finding(WARN, subject, text, f'viva doctor --namespace {spaces[0]}')
    remedy = 'ros2 launch viva_ros monitor.launch.py, or viva up monitor'
    return Finding(WARN, subject, 'does not run on this domain', remedy)


def _input(node: Node, topic: str, count: int, seconds: float) -> Finding:
    profiles = _profiles(node, topic)
    if not profiles:
        remedy = 'start its driver, or set camera_topics, transport and joint_states_topic'
        return Finding(ERROR, topic, 'has no publisher', remedy)
    text = f'{count / seconds:.1f} Hz; {"; ".join(profiles)}'
    if not count:
        remedy = 'check the driver, and the shared memory above'
        return Finding(ERROR, topic, f'no message in {seconds:g} s; {text}', remedy)
    return Finding(OK, topic, text)


def _result(node: Node, topic: str, reliable: bool) -> Finding:
    resolved = node.resolve_topic_name(topic)
    infos = node.get_publishers_info_by_topic(resolved)
    if not infos:
        return Finding(WARN, resolved, 'has no publisher', 'start the nodes')
    if len(infos) > 1:
        names = ', '.join(info.node_name for info in infos)
        return Finding(WARN, resolved, f'has {len(infos)} publishers ({names})', 'end all but one')
    if reliable and infos[0].qos_profile.reliability != ReliabilityPolicy.RELIABLE:
        remedy = 'publish it with reliable QoS'
        return Finding(ERROR, resolved, 'is best effort, its subscriber is reliable', remedy)
    return Finding(OK, resolved, describe(infos[0].qos_profile))


def _profiles(node: Node, topic: str) -> list[str]:
    infos = node.get_publishers_info_by_topic(topic)
    return [f'{info.node_name}: {describe(info.qos_profile)}' for info in infos]


def describe(profile: QoSProfile) -> str:
    """Return reliability and durability in words; they decide about compatibility."""
    how = 'reliable' if profile.reliability == ReliabilityPolicy.RELIABLE else 'best effort'
    latched = profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
    return f'{how}, {"transient local" if latched else "volatile"}'
