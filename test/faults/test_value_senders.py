# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rows 28 and 29 of the fault table: old values, and values of a second monitor."""

import json
import signal
import time

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.action import ActionServer
from support.judged_robot import LIVE, QUICK, JudgedRobot, kinds
from support.ros import PATIENT_MONITOR, wait

from viva_ros.action import Retry
from viva_ros.core.detection.rules import RULES
from viva_ros.engine.resources import engine_folder
from viva_ros.msg import Alert, Episode, Value
from viva_ros.nodes import qos
from viva_ros.nodes.convert import header

SILENT = ('-p', 'silence.silence_after:=3.0')  # s; the test waits for it


@pytest.fixture
def player(listener):
    """Return a monitor and a robot simulated by the test."""
    return JudgedRobot(listener)


@pytest.fixture
def entry(listener):
    """Return a function that returns the newest entry 'watch' of the supervisor, or None."""
    diagnoses = listener.listen(DiagnosticArray, '/diagnostics', qos.RELIABLE)

    def newest():
        found = (s for d in reversed(list(diagnoses)) for s in d.status)
        return next((s for s in found if s.name.endswith('supervisor: watch')), None)

    return newest


def figure(status, key):
    return next((pair.value for pair in status.values if pair.key == key), None)


def levels(messages):
    return {message.level for message in messages}


class SecondMonitor:
    """Publishes values on the topic of another monitor, each made from one of that monitor."""

    def __init__(self, player: JudgedRobot, **fields) -> None:
        self._player, self._fields = player, fields
        self.publisher = player.listener.create_publisher(Value, 'value', qos.RELIABLE)
        wait(lambda: self.publisher.get_subscription_count(), 'the supervisor')
        self.session = time.time_ns()

    def send(self, value: float | None = None, **extra) -> None:
        message = self._player.message(value, **extra)
        message.session_id = self.session
        for name, content in self._fields.items():
            setattr(message, name, content)
        self.publisher.publish(message)


def together(player, second, seconds, value=None, **extra):
    """Publish at 10 Hz a value that falls again and again, and at 2 Hz one of a second monitor."""
    begin = time.monotonic()
    step = 0
    while time.monotonic() - begin < seconds:
        player.send(0.8 if (time.monotonic() - begin) % 4.0 < 2.0 else -0.5)
        if step % 5 == 0:
            second.send(value, **extra)
        step += 1
        time.sleep(0.1)


@pytest.mark.parametrize(
    ('age', 'cause'),
    [
        pytest.param(2760.3, 'stale', id='46_minutes'),
        pytest.param(365 * 86400.0, 'stale', id='a_year', marks=pytest.mark.slow),
        pytest.param(-3600.0, 'ahead', id='an_hour_ahead'),
    ],
)
def test_replayed_failure_is_unknown_and_requests_no_retry(
    player, start_supervisor, entry, age: float, cause: str
):
    player.serve(accept=True)
    start_supervisor(*LIVE, *QUICK)
    player.ready()
    told, stated = len(player.alerts), len(player.states)
    begin = time.monotonic()
    while time.monotonic() - begin < 6.0:
        player.send(0.8 if time.monotonic() - begin < 2.0 else -0.5, age=age)
        time.sleep(0.1)
    figures = f'values are {abs(age):.0f}'[:-1]
    wait(lambda: figures in player.reason, 'the reason')
    assert levels(player.alerts[told:]) == {Alert.UNKNOWN}
    assert Alert.OK not in levels(player.states[stated:])
    assert kinds(player.alerts[told:]) == ['refused'], 'on the change, not for each message'
    assert player.asked == 0
    wait(lambda: entry() and int(figure(entry(), f'refused_{cause}')) >= 10, 'the count')
    player.hold(0.8, lambda: player.level == Alert.OK, 'a judgement of fresh values')


def test_replay_next_to_a_monitor_changes_no_judgement(player, start_supervisor, entry):
    player.serve(accept=True)
    start_supervisor(*LIVE, *QUICK)
    player.ready()
    # A state may arrive before the alert that belongs to it.
    player.hold(0.8, lambda: player.level == Alert.OK and player.alerts, 'a judgement')
    recording = SecondMonitor(player)
    told = len(player.alerts)
    begin = time.monotonic()
    while time.monotonic() - begin < 5.0:
        player.send(0.8)
        recording.send(0.8 if time.monotonic() - begin < 2.0 else -0.5, age=2760.3)
        time.sleep(0.1)
    player.hold(
        0.8, lambda: entry().level == DiagnosticStatus.WARN and '2760.' in entry().message,
        'the warning',
    )  # fmt: skip
    assert figure(entry(), 'monitor_session') == str(player.session)
    assert player.alerts[told:] == [] and player.level == Alert.OK
    player.fall()
    wait(lambda: player.asked == 1, 'the retry')


@pytest.mark.parametrize(
    'fields',
    [
        {'episode_id': 'another', 'engine': 'e' * 16, 'status': Value.STATUS_UNKNOWN},
        {},  # known values of the right episode
        pytest.param({'session_id': None}, marks=pytest.mark.slow),  # of the monitor's session
    ],
    ids=['foreign_unknown', 'own_known', 'same_session'],
)
def test_values_of_two_monitors_are_not_judged(player, start_supervisor, entry, fields):
    player.serve(accept=True)
    start_supervisor(*LIVE, *QUICK)
    player.ready()
    if 'session_id' in fields:
        fields = {'session_id': player.session}
    player.hold(0.8, lambda: player.level == Alert.OK, 'a judgement')
    second = SecondMonitor(player, **fields)
    told = len(player.alerts)

    def is_refused() -> bool:
        together(player, second, 0.5, 0.8)
        return player.level == Alert.UNKNOWN

    wait(is_refused, 'the refusal')
    stated = len(player.states)
    together(player, second, 9.0, 0.8)
    reason = player.reason
    assert reason.startswith('two monitors publish /value (sessions ')
    assert str(player.session) in reason and 'nothing is judged, end all but one' in reason
    assert levels(player.states[stated:]) <= {Alert.UNKNOWN}
    assert not set(kinds(player.alerts[told:])) & set(RULES) and player.asked == 0
    player.hold(0.8, lambda: entry() and 'two monitors' in entry().message, 'the diagnosis')
    player.hold(0.8, lambda: player.level == Alert.OK, 'the judgement of one')
    player.fall()
    wait(lambda: player.asked == 1, 'the retry')


def test_values_of_a_foreign_episode_are_unknown(player, start_supervisor):
    player.serve(accept=True)
    start_supervisor(*LIVE, *QUICK)
    player.ready()
    told = len(player.alerts)
    begin = time.monotonic()
    while time.monotonic() - begin < 5.0:
        player.send(0.8 if time.monotonic() - begin < 2.0 else -0.5, episode='recorded')
        time.sleep(0.1)
    wait(lambda: "of episode 'recorded'" in player.reason, 'the reason')
    assert player.state.id in player.reason
    assert levels(player.alerts[told:]) == {Alert.UNKNOWN} and player.asked == 0
    player.hold(0.8, lambda: player.level == Alert.OK, 'a judgement')


def test_values_of_another_task_are_refused_and_change_nothing(player, start_supervisor, entry):
    """A stranger that announces another task makes a monitor load its engine again and again."""
    player.serve(accept=True)
    start_supervisor(*LIVE, *QUICK)
    player.ready()
    player.hold(0.8, lambda: player.level == Alert.OK and player.alerts, 'a judgement')
    told = len(player.alerts)
    for _ in range(20):
        player.send(0.8)
        player.send(None, task='cube_transfer')
        player.send(-0.9, task='cube_transfer')
        time.sleep(0.1)
    assert player.alerts[told:] == [] and player.level == Alert.OK
    player.hold(
        0.8, lambda: player.reason.startswith("values are of task 'cube_transfer', task of '"),
        'the reason', task='cube_transfer',
    )  # fmt: skip
    assert player.level == Alert.UNKNOWN and player.asked == 0
    player.hold(0.8, lambda: player.level == Alert.OK, 'a judgement')
    player.fall()
    wait(lambda: player.asked == 1, 'the retry')


def test_unknown_values_of_changing_tasks_are_unknown(player, start_supervisor):
    """A stranger announces another task, whose thresholds began the judgement anew."""
    shipped = engine_folder('', 'tray_lift') / 'engine.json'
    engine = json.loads(shipped.read_text())['fingerprint']
    start_supervisor(*LIVE, '-p', "calibration:=''")
    player.ready()
    player.hold(0.5, lambda: player.level == Alert.OK, 'a judgement', engine=engine)
    for number in range(50):  # no engine is loaded
        player.send(None, task='cube_transfer' if number // 5 % 2 else 'tray_lift')
        time.sleep(0.1)
    assert player.level == Alert.UNKNOWN


def test_pending_retry_ends_with_two_monitors(player, start_supervisor):
    player.serve(accept=False, message='the gripper is hot')
    start_supervisor(*LIVE, *QUICK, '-p', 'retry.backoff:=6.0')
    player.ready()
    time.sleep(1.0)  # no request within the cool-down after the start
    player.fall()
    wait(lambda: 'retry_rejected' in kinds(player.alerts), 'the refusal')
    second = SecondMonitor(player)
    begin = time.monotonic()
    while time.monotonic() - begin < 9.0:
        player.send(-0.5)
        second.send(-0.5)
        time.sleep(0.1)
    assert player.asked == 1


class LateMonitor(JudgedRobot):
    """A robot whose monitor has not followed yet: its values are those of an execution."""

    def message(self, *arguments, **fields) -> Value:
        message = super().message(*arguments, **fields)
        message.executing = True
        return message


def test_retry_that_failed_between_two_monitors_is_not_repeated(listener, start_supervisor):
    """The alarm lasts, but it is from before the second monitor."""
    player, goals = LateMonitor(listener), []

    def fail(goal) -> Retry.Result:
        goal.abort()
        return Retry.Result(success=False, message='the gripper is hot')

    server = ActionServer(listener, Retry, 'home', fail, handle_accepted_callback=goals.append)
    start_supervisor(
        *LIVE, *QUICK, *SILENT, '-p', 'retry.by:=action', '-p', 'retry.name:=home',
        '-p', 'alarm.dwell:=1000.0',
    )  # fmt: skip
    player.ready()
    player.fall_until(lambda: player.retry_state == 'retrying', 'the acceptance')
    second = SecondMonitor(player)

    def is_refused() -> bool:
        second.send(-0.5)
        return player.level == Alert.UNKNOWN

    player.hold(-0.5, is_refused, 'the refusal')
    goals[0].execute()
    wait(lambda: player.retry_state == 'backing off', 'the failure of the retry')
    player.hold(
        -0.5, lambda: (player.level, player.retry_state) == (Alert.ALARM, 'idle'),
        'the alarm by values of one monitor, without a retry',
    )  # fmt: skip
    assert len(goals) == kinds(player.alerts).count('retry_requested') == 1
    server.destroy()


def test_restarted_monitor_is_accepted_without_a_second(
    player, processes, listener, start_supervisor, entry
):
    values = listener.listen(Value, 'value', qos.RELIABLE)
    (processes.folder / 'level').write_text('200')
    processes.start('fake_source.py', processes.folder, 'head', 'left_wrist', 'right_wrist',
                    'joint_states')  # fmt: skip
    options = ('--ros-args', '-p', 'transport:=raw', *PATIENT_MONITOR)
    first = processes.start('fake_monitor.py', *options)
    start_supervisor(*LIVE, *SILENT)
    player.ready()
    wait(lambda: values and player.level == Alert.OK, 'a judgement')
    session = values[-1].session_id
    first.send_signal(signal.SIGKILL)
    first.wait()
    wait(lambda: player.states[-1].kind == 'silence', 'silence')
    assert player.level == Alert.UNKNOWN
    processes.start('fake_monitor.py', *options)
    wait(lambda: values[-1].session_id > session, 'the next monitor')
    wait(lambda: player.level == Alert.OK, 'a judgement')
    accepted = str(values[-1].session_id)
    wait(lambda: figure(entry(), 'monitor_session') == accepted, 'the session')
    assert figure(entry(), 'refused_two_monitors') == '0'


@pytest.mark.parametrize('task', ['fold', pytest.param('tray_lift', marks=pytest.mark.slow)])
def test_watch_recovers_from_a_foreign_episode(
    player, processes, listener, start_supervisor, task: str
):
    """A stranger speaks once: the monitor follows it, and then the supervisor again."""
    values = listener.listen(Value, 'value', qos.RELIABLE)
    (processes.folder / 'level').write_text('200')
    processes.start('fake_source.py', processes.folder, 'head', 'left_wrist', 'right_wrist',
                    'joint_states')  # fmt: skip
    processes.start('fake_monitor.py', '--ros-args', '-p', 'transport:=raw', *PATIENT_MONITOR)
    start_supervisor(*LIVE)
    player.ready()
    wait(lambda: player.level == Alert.OK, 'a judgement')
    name, told = player.state.id, len(player.alerts)
    stranger = listener.create_publisher(Episode, 'episode', qos.LATCHED)
    wait(lambda: stranger.get_subscription_count() >= 3, 'monitor, supervisor and listener')
    stranger.publish(
        Episode(header=header(time.time_ns()), id='foreign', task=task, executing=True)
    )
    wait(lambda: any(value.episode_id == 'foreign' for value in values), 'its effect')
    heard = len(values)
    wait(
        lambda: any(v.episode_id == name and v.status == v.STATUS_OK for v in values[heard:]),
        'values of the episode',
    )
    wait(lambda: player.level == Alert.OK, 'a judgement')
    assert 'foreign' not in {alert.episode_id for alert in player.alerts[told:]}
    assert player.states[-1].episode_id == name
