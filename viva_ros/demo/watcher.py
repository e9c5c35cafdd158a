# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ROS node of the demo: records all topics, and calls the services of robot and supervisor."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

import rclpy
from rcl_interfaces.srv import SetParameters
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import (
    DurabilityPolicy,
    QoSProfile,
    ReliabilityPolicy,
    qos_profile_sensor_data,
)
from sensor_msgs.msg import CompressedImage, JointState
from std_msgs.msg import Bool, Float32
from std_srvs.srv import Trigger

from viva_ros.core.errors import VivaError
from viva_ros.data.bag.writer import RecordingWriter
from viva_ros.demo.events import DemoAlert, DemoSession, DemoTruth, ValueSample
from viva_ros.msg import Alert, Episode, FutureProprioception, GroundTruth, SupervisorState, Value
from viva_ros.nodes.malformed_messages import GuardedExecutor
from viva_ros.nodes.topic_recorder import Recorder, Topic
from viva_ros.sim.robots.registry import DEFAULT_ROBOT, ROBOTS

RELIABLE = QoSProfile(depth=50)
LATCHED = QoSProfile(depth=50, durability=DurabilityPolicy.TRANSIENT_LOCAL)
#: A second of joint states: the value of one that is lost is unknown in the replay.
JOINTS = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)
TRIES = 3  # of a service call within its time-out

TOPICS = (
    Topic('joint_states', JointState, JOINTS),
    Topic('value', Value, RELIABLE),
    Topic('value_scalar', Float32, RELIABLE),
    Topic('future_proprioception', FutureProprioception, RELIABLE),
    Topic('future_joint_states', JointState, RELIABLE),
    Topic('alert', Alert, LATCHED),
    Topic('episode', Episode, LATCHED),
    Topic('supervisor/state', SupervisorState, LATCHED),
    Topic('executing', Bool, RELIABLE),
    Topic('ground_truth', GroundTruth, RELIABLE),
)


def image_topics() -> tuple[Topic, ...]:
    """Return the topics of the cameras of the simulated robot."""
    cameras = ROBOTS[DEFAULT_ROBOT].cameras
    return tuple(
        Topic(f'{camera}/image_raw/compressed', CompressedImage, qos_profile_sensor_data)
        for camera in cameras
    )


class Watcher(Node):
    """Fills a session, and records all topics."""

    def __init__(self, session: DemoSession, writer: RecordingWriter) -> None:
        super().__init__('viva_demo')
        self._session = session
        self.recorder = Recorder(self, (*image_topics(), *TOPICS), writer)
        self.create_subscription(Value, 'value', self._add_value, RELIABLE)
        self.create_subscription(Alert, 'alert', self._add_alert, LATCHED)
        self.create_subscription(SupervisorState, 'supervisor/state', self._store_state, LATCHED)
        self.create_subscription(GroundTruth, 'ground_truth', self._add_truth, RELIABLE)

    def stamp(self) -> int:
        """Return the current time, ns."""
        return int(self.get_clock().now().nanoseconds)

    def _add_value(self, msg: Value) -> None:
        self._session.samples.append(
            ValueSample(_ns(msg.header), msg.value, msg.latency, msg.reason, msg.episode_id)
        )

    def _add_alert(self, msg: Alert) -> None:
        self._session.alerts.append(
            DemoAlert(_ns(msg.header), msg.level, msg.kind, msg.value, msg.text, msg.episode_id)
        )

    def _store_state(self, msg: SupervisorState) -> None:
        self._session.level = msg.level

    def _add_truth(self, msg: GroundTruth) -> None:
        self._session.truths.append(
            DemoTruth(
                _ns(msg.header), msg.time, msg.attempt, msg.phase, msg.progress,
                msg.success, msg.failed, msg.done, msg.inject_time, msg.manifest_time,
            )
        )  # fmt: skip


class ServiceCaller:
    """Calls services of robot and supervisor, outside the executor's thread."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._clients: dict[str, Any] = {}

    def trigger(self, service: str, timeout: float = 20.0) -> Any:
        """Call a std_srvs/Trigger service; raise VivaError if it is missing or fails."""
        answer = self._call(Trigger, service, Trigger.Request(), timeout)
        if not answer.success:
            raise VivaError('demo-service-refused', f'{service} refused: {answer.message}')
        return answer

    def set_parameters(self, node: str, values: dict[str, Any], timeout: float = 20.0) -> None:
        """Set parameters of a node; raise VivaError with the node's reason if it rejects one."""
        request = SetParameters.Request(
            parameters=[Parameter(k, value=v).to_parameter_msg() for k, v in values.items()]
        )
        answer = self._call(SetParameters, f'{node}/set_parameters', request, timeout)
        for (name, value), result in zip(values.items(), answer.results, strict=True):
            if not result.successful:
                text = f'{node} rejects {name} = {value!r}: {result.reason}'
                raise VivaError('demo-parameter-rejected', text)

    def _call(self, kind: Any, service: str, request: Any, timeout: float) -> Any:
        if service not in self._clients:
            self._clients[service] = self._node.create_client(kind, service)
        client = self._clients[service]
        if not client.wait_for_service(timeout_sec=timeout):
            text = f'no service {service} after {timeout:.0f} s: start its node'
            raise VivaError('demo-service-missing', text)
        for _ in range(TRIES):  # the answer is lost if the server has not discovered the client
            future = client.call_async(request)
            if _wait(future, timeout / TRIES):
                return future.result()
        text = f'{service} did not answer within {timeout:.0f} s'
        raise VivaError('demo-service-timeout', text)


@contextmanager
def watching(path: Path, session: DemoSession) -> Iterator[tuple[Watcher, ServiceCaller]]:
    """Spin a watcher in a thread; at the end the recording is complete and closed."""
    rclpy.init(signal_handler_options=rclpy.signals.SignalHandlerOptions.NO)
    writer = RecordingWriter(path)
    node = Watcher(session, writer)
    executor = GuardedExecutor()
    executor.add_node(node)
    thread = Thread(target=_spin, args=(executor,), daemon=True)
    thread.start()
    try:
        yield node, ServiceCaller(node)
    finally:
        node.recorder.stop()
        executor.shutdown(timeout_sec=2.0)
        thread.join(timeout=2.0)
        writer.close()
        node.destroy_node()
        rclpy.try_shutdown()


def _spin(executor: GuardedExecutor) -> None:
    with suppress(ExternalShutdownException):
        executor.spin()


def _wait(future: Any, timeout: float) -> bool:
    done = Event()
    future.add_done_callback(lambda _: done.set())
    return done.wait(timeout)


def _ns(header: Any) -> int:
    return int(header.stamp.sec * 1_000_000_000 + header.stamp.nanosec)
