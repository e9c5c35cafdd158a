# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Arbitrary messages on every input topic over real DDS: no node dies or hangs, none has a value.

VIVA_FUZZ_CASES is the number of cases of each message: few in CI, more than 20,000 in total in
scripts/nightly. Each case is published between valid messages; the next output is checked.
"""

import math
import os
import time

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Bool, Header
from std_srvs.srv import Trigger
from support.ros import wait

from viva_ros.msg import Alert, Episode, Value
from viva_ros.nodes import qos
from viva_ros.nodes.convert import to_joint_state, to_ns, to_time
from viva_ros.srv import StartEpisode

pytestmark = pytest.mark.slow

CASES = int(os.environ.get('VIVA_FUZZ_CASES', '25'))
CAMERAS = ('head', 'left_wrist', 'right_wrist')
JOINTS = ('left_waist', 'right_waist')
CHANNELS = {
    'rgb8': 3, 'bgr8': 3, 'rgba8': 4, 'bgra8': 4, 'mono8': 1, 'mono16': 2, '8UC3': 3, 'yuv422': 2,
    'bayer_rggb8': 1,
}  # fmt: skip
fuzzed = settings(
    max_examples=CASES, deadline=None, database=None, derandomize=True,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip

small = st.integers(0, 70)
sizes = small | st.sampled_from([2**16, 2**31, 2**32 - 1])
octets = st.binary(max_size=300)
words = st.text(st.characters(codec='utf-8', exclude_characters='\0'), max_size=20)
OWN = 'the episode under way'
numbers = st.floats(width=32) | st.sampled_from([math.nan, math.inf, -math.inf, 0.0])
stamps = st.sampled_from([None, None, None, 0, 1, 2**31 * 10**9 - 1]) | st.integers(0, 2**60)
encodings = st.sampled_from([*CHANNELS, '', '16UC1', '32FC1']) | words
changes = st.lists(st.tuples(st.integers(4, 400), st.integers(0, 255)))
cuts = st.tuples(st.integers(4, 400), changes)


def good(name: str, stamp: int, count: int):
    """Return a valid message."""
    if name == 'joint_states':
        return to_joint_state(dict.fromkeys(JOINTS, 0.01 * (count % 100)), stamp)
    pixels = bytes((7 * k + count) % 256 for k in range(8 * 8 * 3))
    return Image(
        header=Header(stamp=to_time(stamp)), height=8, width=8, encoding='rgb8', step=24,
        data=pixels,
    )  # fmt: skip


class Bench:
    """Publishes sets of inputs to a monitor, and checks its values."""

    def __init__(self, node, until) -> None:
        self._until, self.count = until, 0
        self._good: set[int] = set()  # stamps of valid sets
        self.values = node.listen(Value, 'value', qos.RELIABLE)
        kinds = {f'{camera}/image_raw': Image for camera in CAMERAS} | {'joint_states': JointState}
        self.publishers = {
            topic.split('/')[0]: node.create_publisher(kind, topic, qos.JOINTS)
            for topic, kind in kinds.items()
        }
        self.publishers['episode'] = node.create_publisher(Episode, 'episode', qos.LATCHED)
        self.publishers['alert'] = node.create_publisher(Alert, 'alert', qos.LATCHED)

    def send(self, **instead) -> int:
        """Publish a set with replaced or additional messages; return its stamp, ns."""
        self.count += 1
        stamp = time.time_ns()
        for name in (*CAMERAS, 'joint_states'):
            self.publishers[name].publish(instead.pop(name, None) or good(name, stamp, self.count))
        for name, message in instead.items():
            self.publishers[name].publish(message)
        return stamp

    def refuse(self, name: str, message, stamp: int | None = None) -> None:
        """Send an invalid message; check that the next value is unknown with a reason."""
        if not isinstance(message, bytes):
            message.header.stamp = to_time(time.time_ns() if stamp is None else stamp)
        self._check('a late message')
        self.values.clear()
        self.send(**{name: message})
        end = time.monotonic() + 20.0
        while not self.values:
            assert time.monotonic() < end, f'hangs after {message!r:.500}'
            time.sleep(0.002)
        self._check(repr(message))
        if self.count % 50 == 0:
            self.works()

    def works(self) -> None:
        """Send valid sets until there is a value, whatever was sent before."""
        begun = time.time_ns()

        def is_value() -> bool:
            self._good.add(self.send())
            time.sleep(0.05)
            return any(
                value.status == Value.STATUS_OK and to_ns(value.header.stamp) >= begun
                for value in self.values[-5:]
            )

        self.publishers['episode'].publish(Episode(task='tray_lift'))
        self._until(is_value, 'a value after invalid messages')
        self._check('all messages')

    def _check(self, message: str) -> None:
        """Check that all known values have the stamp of a valid set."""
        for value in self.values:
            known = value.status == Value.STATUS_OK
            assert not known or to_ns(value.header.stamp) in self._good, message
        del self.values[:-5]


@pytest.fixture(scope='module')
def bench(running):
    node, processes = running
    made = Bench(node, wait)
    process = processes.start(
        'fake_monitor.py', '--ros-args', '-p', 'transport:=raw', '-p', 'input_timeout:=0.0',
        '-p', 'sync.slop:=0.001', '-p', 'rate:=50.0', '-p', 'sync.max_age:=5.0',
        '-p', 'image.frozen_after:=1000.0',
    )  # fmt: skip
    made.works()
    yield made
    made.works()
    assert process.poll() is None, processes.log(process)
    assert 'Traceback' not in processes.log(process)


def is_picture(message) -> bool:
    """Return whether the fields of an image are consistent, by the rule of sensor_msgs/Image."""
    size = CHANNELS.get(message.encoding, 0) * message.width
    is_valid = message.step >= size > 0 and message.height > 0
    return is_valid and len(message.data) == message.step * message.height


@fuzzed
@given(
    encodings, sizes, sizes, sizes, octets, st.integers(0, 255), stamps, st.sampled_from(CAMERAS)
)
def test_images_with_arbitrary_fields_are_refused(
    bench, encoding, height, width, step, data, big, stamp, camera
):
    message = Image(
        encoding=encoding, height=height, width=width, step=step, data=data, is_bigendian=big
    )
    assume(not is_picture(message))
    bench.refuse(camera, message, stamp)


@fuzzed
@given(st.lists(words | st.sampled_from(JOINTS)), st.lists(numbers), stamps, st.booleans())
def test_joints_with_arbitrary_content_are_refused(bench, names, positions, stamp, is_whole):
    whole = dict.fromkeys(JOINTS, math.nan) if is_whole else {}
    message = JointState(name=[*names, *whole], position=[*positions, *whole.values()])
    pairs = dict(zip(message.name, message.position, strict=False))
    fits = len(message.name) == len(message.position)
    assume(not (fits and all(math.isfinite(pairs.get(joint, math.nan)) for joint in JOINTS)))
    bench.refuse('joint_states', message, stamp)


@fuzzed
@given(cuts, st.sampled_from((*CAMERAS, 'joint_states')))
def test_arbitrary_bytes_are_refused(bench, cut, name):
    """Send the first bytes of a message, some of them changed."""
    length, changes = cut
    cdr = bytearray(serialize_message(good(name, 1, 1))[:length])
    for at, byte in changes:
        if at < len(cdr):
            cdr[at] = byte
    bench.refuse(name, bytes(cdr))


@fuzzed
@given(words, words, st.integers(0, 255), numbers, st.lists(numbers, max_size=9))
def test_arbitrary_episodes_and_alerts_change_nothing(bench, text, kind, level, x, window):
    alert = Alert(level=level, kind=kind, text=text, value=x, statistic=x, threshold=x)
    alert.window_values = window
    bench.send(episode=Episode(id=text, task=text), alert=alert, head=Image())
    time.sleep(0.002)


@pytest.fixture(scope='module')
def supervised(running, new_calibration):
    """Start a supervisor that may request retries, and record its requests."""
    node, processes = running
    requests = []

    def answer(request, response):
        requests.append(request)
        response.success = True
        return response

    node.create_service(Trigger, '/watched/retry', answer)
    alerts = node.listen(Alert, '/watched/alert', qos.LATCHED_READER)
    publisher = node.create_publisher(Value, '/watched/value', qos.RELIABLE)
    rival = node.create_publisher(Alert, '/watched/alert', qos.LATCHED)
    process = processes.start(
        'viva_ros.nodes', 'supervisor', '--ros-args', '-p', f'calibration:={new_calibration}',
        '-p', 'retry.dry_run:=false', '-r', '__ns:=/watched', '-p', 'alarm.cool_down:=0.1',
        '-p', 'robot.executing_topic:=executing',
    )  # fmt: skip
    executing = node.create_publisher(Bool, '/watched/executing', qos.RELIABLE)
    robot = node.create_timer(0.1, lambda: executing.publish(Bool(data=True)))
    wait(lambda: publisher.get_subscription_count(), 'the supervisor')

    def begin() -> str:
        request = StartEpisode.Request()
        answer = node.call(StartEpisode, '/watched/supervisor/start_episode', request)
        assert answer.success, answer.message
        return str(answer.episode_id)

    yield publisher, rival, requests, begin()
    name, count = begin(), len(alerts)

    def is_judged() -> bool:
        stamp = to_time(time.time_ns())
        publisher.publish(Value(
            header=Header(stamp=stamp), episode_id=name, value=0.5, executing=True,
            status=Value.STATUS_OK, task='tray_lift', engine='f' * 16, rate=10.0,
        ))  # fmt: skip
        time.sleep(0.1)
        return any(alert.kind == 'episode_start' for alert in alerts[count:])

    wait(is_judged, 'an alert after invalid messages')
    node.destroy_timer(robot)
    assert not requests and process.poll() is None, processes.log(process)
    assert 'Traceback' not in processes.log(process)


@fuzzed
@given(
    st.integers(0, 255), numbers, stamps, st.just(OWN) | words, st.lists(words, max_size=4),
    st.lists(numbers, max_size=4), st.sampled_from(['tray_lift', '']) | words, cuts, numbers,
)  # fmt: skip
def test_arbitrary_values_and_alerts_request_no_retry(
    supervised, status, x, stamp, episode, names, list_of, task, cut, horizon
):
    publisher, rival, requests, own = supervised
    episode = own if episode == OWN else episode
    at = to_time(time.time_ns() if stamp is None else stamp)
    message = Value(
        header=Header(stamp=at), status=status, value=x, progress=x, task=task, latency=x,
        episode_id=episode, engine='f' * 16, rate=10.0, executing=True,
        input_names=names, joint_names=names, positions=list_of, forecast=list_of,
        horizon=horizon, reason=episode,
    )  # fmt: skip
    assume(status != Value.STATUS_OK or task != 'tray_lift' or not -1.0 <= x <= 1.0)
    publisher.publish(message)
    cdr = bytearray(serialize_message(message)[: cut[0]])
    for at_byte, byte in cut[1]:
        if at_byte < len(cdr):
            cdr[at_byte] = byte
    if episode != own:  # a changed byte may make a good value of it
        publisher.publish(bytes(cdr))
    rival.publish(Alert(level=status, session_id=2**64 - 1, text=episode, value=x))
    time.sleep(0.002)
    assert not requests
