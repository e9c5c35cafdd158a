# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Every service of every node answers within 0.5 s in any state of the node.

A slow machine answers late, so each round also calls an idle node: the longest response time of a
node may exceed that of the idle node by 0.5 s. Only ``change_state`` to configure may take as long
as loading. A machine that is loaded by others delays now one of the two nodes and now the other,
while a callback that blocks does so each time: a node that is late is measured again.
"""

import signal
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import SetParameters
from rclpy.client import Client
from rclpy.parameter import Parameter
from rclpy.task import Future
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from support.ros import wait
from type_description_interfaces.srv import GetTypeDescription

from viva_ros.msg import Alert, Value
from viva_ros.nodes import qos

pytestmark = pytest.mark.alone

LIMIT = 0.5  # s
PATIENCE = 60.0  # s
TRIES = 5
RENDERING = 0.03  # s of processor time, of the simulated robot's three pictures
RAW = ('--ros-args', '-p', 'transport:=raw')
MANUAL = (*RAW, '-p', 'autostart:=false')
ALL = ('head', 'left_wrist', 'right_wrist', 'joint_states')


class Prober:
    """Calls all services of a node and of the idle node in rounds; stores the longest times."""

    def __init__(self, listener, until, node: str) -> None:
        self._listener, self._until, self.node = listener, until, node
        self._clients: dict[str, dict[str, Client]] = {node: {}, 'idle': {}}
        self.longest: dict[str, dict[str, float]] = {name: {} for name in self._clients}
        for name in self._clients:
            until(lambda name=name: self._find(name) >= 7, f'the services of {name}')

    def _find(self, node: str) -> int:
        """Add new services; return the number of services."""
        clients, found = self._clients[node], []
        if node in self._listener.get_node_names():
            found = self._listener.get_service_names_and_types_by_node(node, '/')
        for name, types in found:
            if name not in clients and not name.endswith('/change_state'):
                package, _, kind = types[0].split('/')
                kind = getattr(import_module(f'{package}.srv'), kind)
                clients[name] = self._listener.create_client(kind, name)
        return len(clients)

    def round(self, event_group: tuple[str, ...] = ()) -> None:
        """Call each service once, all together, and wait for all answers."""
        pending = []
        for node, clients in self._clients.items():
            self._find(node)
            for name, client in clients.items():
                if name not in event_group and client.service_is_ready():
                    pending.append(self._call(node, name, client))
        self._until(lambda: all(future.done() for future in pending), 'all answers', PATIENCE)
        time.sleep(0.1)

    def _call(self, node: str, name: str, client: Client) -> Future:
        request = client.srv_type.Request()
        if client.srv_type is SetParameters and node != 'idle':
            request.parameters = [Parameter('autostart', value='no').to_parameter_msg()]
        if client.srv_type is GetTypeDescription:
            request.type_hash = f'RIHS01_{64 * "0"}'  # unknown but well-formed
        began = time.monotonic()

        def note(_: Future) -> None:
            took = time.monotonic() - began
            self.longest[node][name] = max(took, self.longest[node].get(name, 0.0))

        future = client.call_async(request)
        future.add_done_callback(note)
        return future

    def rounds(self, seconds: float, event_group: tuple[str, ...] = ()) -> None:
        """Call repeatedly for some time, at least three times."""
        end, count = time.monotonic() + seconds, 0
        while count < 3 or time.monotonic() < end:
            self.round(event_group if count % 10 else ())
            count += 1

    def late(self, record: Callable[[str, object], None]) -> str:
        """Compare with the idle node; return what was late, and forget the times."""
        longest, idle = self.longest[self.node], self.longest['idle']
        self.longest = {self.node: {}, 'idle': {}}
        reference = max(idle.values())
        slowest = max(longest, key=longest.__getitem__)
        record('longest_s', round(longest[slowest], 3))
        record('idle_s', round(reference, 3))
        assert len(longest) >= 7, longest
        if longest[slowest] < LIMIT + reference:
            return ''
        return f'{slowest} took {longest[slowest]:.3f} s, the idle node {reference:.3f} s'

    def end(self) -> None:
        """End the node, so that another may start."""
        self.process.terminate()
        assert self.process.wait(PATIENCE) == 0
        self._until(lambda: self.node not in self._listener.get_node_names(), 'its end')

    def check(self, record: Callable[[str, object], None]) -> None:
        """Compare with the idle node, once."""
        late = self.late(record)
        assert not late, late


@pytest.fixture
def probe(processes, listener):
    """Return a function that starts a node and the idle node, and returns their prober."""
    idle = []

    def start(
        script: str, *arguments: object, node: str = 'monitor', busy: float = 0.0, **extra: str
    ) -> Prober:
        if not idle:
            idle.append(processes.start('idle_node.py', busy))
        started = processes.start(script, *arguments, **extra)
        made = Prober(listener, wait, node)
        made.process = started
        return made

    return start


@pytest.fixture
def change(listener):
    """Return a function that requests a transition of the monitor, and returns the future."""
    client = listener.create_client(ChangeState, 'monitor/change_state')

    def ask(transition: int) -> Future:
        assert client.wait_for_service(PATIENCE)
        return client.call_async(ChangeState.Request(transition=Transition(id=transition)))

    return ask


@pytest.fixture
def state(listener):
    def get() -> int:
        return listener.call(GetState, 'monitor/get_state', GetState.Request()).current_state.id

    return get


@pytest.fixture
def source(processes, tmp_path: Path):
    (tmp_path / 'level').write_text('160')
    return processes.start('fake_source.py', tmp_path, *ALL)


@pytest.mark.slow
def test_monitor_answers_without_inputs(probe, said, record_property):
    """Longer than input_timeout."""
    prober = probe('fake_monitor.py', *RAW)
    prober.rounds(13.0)
    prober.check(record_property)
    assert any(text.startswith('waiting for /head/image_raw, /left') for text in said())
    assert any(text.startswith('no publisher of /head/image_raw after 10 s') for text in said())


@pytest.mark.slow
def test_monitor_answers_while_loading(
    probe, change, state, said, source, listener, record_property
):
    beats = listener.listen(Header, 'monitor/heartbeat', qos.HEARTBEAT)
    prober = probe('fake_monitor.py', *MANUAL, FAKE_LOADING='5.0')
    answer = change(Transition.TRANSITION_CONFIGURE)
    began = time.monotonic()
    prober.round()
    second = change(Transition.TRANSITION_CONFIGURE)
    third = change(Transition.TRANSITION_ACTIVATE)
    while not answer.done():
        prober.round()
        assert time.monotonic() - began < PATIENCE
    assert time.monotonic() - began >= 4.0, 'the answer comes after loading'
    assert answer.result().success and state() == State.PRIMARY_STATE_INACTIVE
    assert len(beats) > 5, 'heartbeats continue while the engine loads'
    assert second.done() and not second.result().success
    assert third.done() and not third.result().success
    assert any(text.startswith('loading engine (shipped) of task ') for text in said())
    prober.check(record_property)


@pytest.mark.parametrize(
    ('transition', 'reached'),
    [
        (Transition.TRANSITION_CLEANUP, State.PRIMARY_STATE_UNCONFIGURED),
        (Transition.TRANSITION_UNCONFIGURED_SHUTDOWN, State.PRIMARY_STATE_FINALIZED),
    ],
)
def test_loading_is_cancelled_without_its_end(probe, change, state, said, transition, reached):
    prober = probe('fake_monitor.py', *MANUAL, FAKE_LOADING='3600.0')
    answer = change(Transition.TRANSITION_CONFIGURE)
    wait(lambda: any(text.startswith('loading engine') for text in said()), 'the diagnosis')
    cancelled = change(transition)
    prober.round()
    wait(lambda: cancelled.done() and answer.done(), 'both answers')
    assert cancelled.result().success and not answer.result().success
    assert state() == reached
    prober.process.send_signal(signal.SIGINT)
    assert prober.process.wait(20.0) == 0, 'while the cancelled loading goes on'


@pytest.mark.slow
def test_monitor_answers_while_engine_hangs(
    probe, change, state, listener, source, record_property
):
    values = listener.listen(Value, 'value', qos.RELIABLE)
    prober = probe('fake_monitor.py', *RAW, '-p', 'estimate_timeout:=0.5', FAKE_ENGINE='hang')
    wait(lambda: any('has not answered' in value.reason for value in values), 'unknown')
    prober.rounds(2.0)
    for transition in (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP):
        answer = change(transition)
        prober.rounds(1.5)
        wait(answer.done, 'the transition')
        assert answer.result().success
    assert state() == State.PRIMARY_STATE_UNCONFIGURED
    prober.check(record_property)
    prober.process.send_signal(signal.SIGTERM)
    assert prober.process.wait(20.0) == 0


def test_monitor_answers_while_active(probe, listener, source, record_property):
    values = listener.listen(Value, 'value', qos.RELIABLE)
    prober = probe('fake_monitor.py', *RAW)
    wait(lambda: any(value.status == Value.STATUS_OK for value in values), 'a value')
    late = []
    for _ in range(TRIES):
        prober.rounds(3.0)
        late.append(prober.late(record_property))
        if not late[-1]:
            return
    pytest.fail('\n'.join(late))


@pytest.mark.timeout(400)
@pytest.mark.parametrize('node', ['monitor', 'supervisor', 'black_box', 'sim'])
def test_node_answers_while_starting(probe, node: str, record_property):
    """With the real engine, calibration and scene."""
    if node == 'sim':
        pytest.importorskip('mujoco', reason='mujoco is not installed')
    busy = RENDERING if node == 'sim' else 0.0
    own = {
        'supervisor': {'/supervisor/acknowledge', '/supervisor/start_episode'},
        'sim': {'/start', '/retry'},
    }
    late = []
    for _ in range(TRIES):
        prober = probe('viva_ros.nodes', node, node=node, busy=busy)
        prober.rounds(5.0, ('/start', '/retry'))  # each builds a scene or makes a plan
        assert own.get(node, set()) <= prober.longest[node].keys()
        late.append(prober.late(record_property))
        if not late[-1]:
            return
        prober.end()
    pytest.fail('\n'.join(late))


@pytest.mark.slow
def test_black_box_answers_while_writing(probe, processes, listener, tmp_path, record_property):
    """An alert arrives with 100 MiB in memory, which take long to write."""
    pytest.importorskip('mcap')
    box = tmp_path / 'box'
    diagnoses = listener.listen(DiagnosticArray, '/diagnostics', qos.RELIABLE)
    publisher = rclpy.create_node('monitor', context=listener.context)
    image = publisher.create_publisher(Image, 'head/image_raw', qos.RELIABLE)
    alert = publisher.create_publisher(Alert, 'alert', qos.LATCHED)
    prober = probe(
        'viva_ros.nodes', 'black_box', '--ros-args', '-p', f'folder:={box}',
        '-p', 'limits.after:=0.1', '-p', 'limits.before:=600.0', node='black_box',
    )  # fmt: skip
    message = Image(height=1024, width=1024, step=1024, encoding='mono8', data=bytes(1 << 20))

    def held() -> float:
        image.publish(message)
        values = (v for d in list(diagnoses) for s in d.status for v in s.values)
        return max((float(v.value) for v in values if v.key == 'memory_mib'), default=0.0)

    wait(lambda: held() > 100.0, 'a full memory', PATIENCE)
    prober.round()
    raised = Alert(level=Alert.ALARM, kind='drop', text='it fell')
    raised.header.stamp = listener.get_clock().now().to_msg()
    alert.publish(raised)
    prober.rounds(1.0)
    while not list(box.glob('alert_*.mcap')):
        prober.round()
    prober.check(record_property)
    publisher.destroy_node()
