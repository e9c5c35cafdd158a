# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import signal
import time
from dataclasses import replace

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.context import Context
from support.judged_robot import LIVE, QUICK, kinds
from support.ros import PATIENCE, wait

from viva_ros.core.detection.thresholds import Unreachable, load
from viva_ros.msg import Alert, SupervisorState, Value
from viva_ros.nodes import qos

SECOND = 1_000_000_000  # ns


def test_drop_alarms_and_accepted_retry_is_reported(robot, start_supervisor):
    robot.serve(accept=True)
    supervisor = start_supervisor(*LIVE, *QUICK)
    robot.ready()
    time.sleep(1.0)  # no request within the cool-down after the start
    robot.fall()
    wait(lambda: 'retry_accepted' in kinds(robot.alerts), 'the acceptance')
    alarm = next(a for a in robot.alerts if a.kind == 'drop' and a.level == Alert.ALARM)
    assert alarm.statistic > alarm.threshold == 0.5
    assert alarm.episode_id == robot.state.id
    asked = next(a for a in robot.alerts if a.kind == 'retry_requested')
    assert (asked.retries, asked.retry_budget, robot.asked) == (1, 2, 1)
    robot.hold(0.7, lambda: 'retry_succeeded' in kinds(robot.alerts), 'the end of the retry')
    supervisor.send_signal(signal.SIGTERM)
    assert supervisor.wait(PATIENCE) == 0


def test_dry_run_requests_no_retry(robot, start_supervisor):
    robot.serve(accept=True)
    start_supervisor(*QUICK)
    robot.ready()
    robot.fall()
    wait(lambda: 'retry_dry_run' in kinds(robot.alerts), 'the report of a dry run')
    assert robot.asked == 0


def test_refused_retries_spend_budget_until_acknowledged(robot, start_supervisor, listener):
    robot.serve(accept=False, message='the payload is on the floor')
    start_supervisor(*LIVE, *QUICK)
    robot.ready()
    time.sleep(1.0)
    robot.fall_until(
        lambda: robot.alerts and robot.alerts[-1].level == Alert.NEEDS_OPERATOR, 'NEEDS_OPERATOR'
    )
    assert robot.asked == 2
    refused = [a for a in robot.alerts if a.kind == 'retry_rejected']
    assert len(refused) == 2 and 'the payload is on the floor' in refused[0].text
    assert listener.trigger('supervisor/acknowledge').success
    wait(lambda: robot.alerts[-1].kind == 'acknowledged', 'the acknowledgement')
    assert not listener.trigger('supervisor/acknowledge').success


def test_acknowledged_alarm_has_no_pending_retry(robot, start_supervisor, listener):
    robot.serve(accept=False, message='a person is close')
    start_supervisor(*LIVE, *QUICK, '-p', 'retry.backoff:=3.0')
    robot.ready()
    time.sleep(1.0)  # no request within the cool-down after the start
    robot.fall()
    robot.hold(-0.5, lambda: 'retry_rejected' in kinds(robot.alerts), 'the refusal')
    assert listener.trigger('supervisor/acknowledge').success
    begin = time.monotonic()
    robot.hold(0.9, lambda: time.monotonic() > begin + 4.0, 'values, past the back-off')
    assert robot.asked == 1


def test_missing_retry_service_counts_as_refusal(robot, start_supervisor):
    start_supervisor(*LIVE, *QUICK)
    robot.ready()
    time.sleep(1.0)
    robot.fall()
    robot.hold(-0.5, lambda: 'retry_rejected' in kinds(robot.alerts), 'the refusal')
    refused = next(a for a in robot.alerts if a.kind == 'retry_rejected')
    assert 'there is no service /retry' in refused.text


def is_silent(robot) -> bool:
    """Return whether the newest alert of silence is one of its begin."""
    texts = [alert.text for alert in robot.alerts if alert.kind == 'silence']
    return bool(texts) and texts[-1].startswith('no value for')


def test_silence_and_unknown_are_reported_without_retry(robot, start_supervisor):
    robot.serve(accept=True)
    start_supervisor(*LIVE, '-p', 'silence.silence_after:=2.0')
    robot.ready()
    robot.hold(0.5, lambda: 'episode_start' in kinds(robot.alerts), 'the first value')
    robot.hold(None, lambda: 'unknown' in kinds(robot.alerts), 'unknown')
    unknown = next(alert for alert in robot.alerts if alert.kind == 'unknown')
    assert 'the camera is gone' in unknown.text
    wait(lambda: is_silent(robot), 'silence')
    assert robot.alerts[-1].level == Alert.UNKNOWN
    robot.hold(0.5, lambda: robot.alerts[-1].level == Alert.OK, 'values again')
    assert robot.asked == 0


def test_unknown_values_after_silence_keep_the_level_unknown(robot, start_supervisor):
    start_supervisor(*LIVE, '-p', 'silence.silence_after:=2.0')
    robot.ready()
    robot.hold(0.5, lambda: robot.level == Alert.OK, 'the first value')
    # An alert may arrive before the state that belongs to it.
    wait(lambda: is_silent(robot) and robot.level == Alert.UNKNOWN, 'silence')
    states, alerts = len(robot.states), len(robot.alerts)
    hostile = 'gone\n\x1b[31m[/bold]' + 'x' * 100_000
    robot.hold(
        None, lambda: 'unknown' in kinds(robot.alerts[alerts:]), 'unknown', reason=hostile
    )  # fmt: skip
    assert {state.level for state in robot.states[states - 1 :]} == {Alert.UNKNOWN}
    assert {alert.level for alert in robot.alerts[alerts:]} == {Alert.UNKNOWN}
    told = robot.alerts[-1].text
    assert 'gone\\n\\x1b[31m[/bold]xxx' in told and len(told) < 300
    robot.hold(0.5, lambda: robot.level == Alert.OK, 'a known value')


def test_pending_retry_is_cancelled_by_silence(robot, start_supervisor):
    robot.serve(accept=False, message='the gripper is hot')
    start_supervisor(*LIVE, *QUICK, '-p', 'silence.silence_after:=0.5', '-p', 'retry.backoff:=5.0')
    robot.ready()
    time.sleep(1.0)  # no request within the cool-down after the start
    robot.fall()
    wait(lambda: 'retry_rejected' in kinds(robot.alerts), 'the refusal')
    wait(lambda: is_silent(robot), 'silence')
    begin = time.monotonic()
    robot.hold(None, lambda: time.monotonic() > begin + 6.0, 'unknown values, past the back-off')
    begin = time.monotonic()
    robot.hold(0.8, lambda: time.monotonic() > begin + 1.0, 'known values')
    assert robot.asked == 1
    assert kinds(robot.alerts).count('retry_requested') == 1


def test_value_out_of_range_is_unknown_without_retry(robot, start_supervisor):
    robot.serve(accept=True)
    start_supervisor(*LIVE, *QUICK)
    robot.ready()
    robot.hold(0.5, lambda: robot.alerts, 'the start of an episode')
    robot.hold(-5000.0, lambda: 'unknown' in kinds(robot.alerts), 'unknown')
    told = next(alert for alert in robot.alerts if alert.kind == 'unknown')
    assert 'value is -5000, must be in [-1, 1]' in told.text
    assert robot.asked == 0


def test_session_ids_ignore_stopped_simulated_clock(robot, start_supervisor):
    start_supervisor('-p', 'use_sim_time:=true')
    robot.ready()
    robot.hold(0.5, lambda: robot.alerts, 'the start of an episode')
    assert robot.alerts[-1].session_id > 1_700_000_000 * SECOND
    assert not robot.state.id.startswith('1970')


def test_values_of_uncalibrated_engine_are_unknown(robot, start_supervisor):
    start_supervisor()
    robot.ready()
    robot.hold(0.5, lambda: 'unknown' in kinds(robot.alerts), 'unknown', engine='e' * 16)
    alert = next(a for a in robot.alerts if a.kind == 'unknown')
    assert "calibration is for engine 'ffffffffffffffff'" in alert.text


def test_values_at_another_rate_are_unknown(robot, start_supervisor):
    robot.serve(accept=True)
    start_supervisor(*LIVE, *QUICK)
    robot.ready()
    robot.rate = 5.0  # as a monitor with that parameter says; the calibration is for 10 Hz
    robot.hold(0.9, lambda: 'unknown' in kinds(robot.alerts), 'unknown')
    told = next(alert for alert in robot.alerts if alert.kind == 'unknown')
    assert 'calibration is for values at 10 Hz, these are at 5 Hz: set rate to 10' in told.text
    robot.rate = 10.4  # within 5 %
    robot.hold(0.9, lambda: any('known again' in a.text for a in robot.alerts), 'known values')
    assert robot.asked == 0


def test_rule_that_never_alarms_is_warned_about(start_supervisor, processes, calibration):
    made = load(calibration)
    found = {'no_rise': Unreachable(2.0, ('no_rise',))}
    replace(made, unreachable=found).save(calibration)
    process = start_supervisor()
    wait(lambda: 'watching' in processes.log(process), 'the supervisor')
    text = (
        'the rule no_rise never raises an alarm: its threshold is 2, its largest possible value 2'
    )
    assert text in processes.log(process) and '--rules no_rise' in processes.log(process)


@pytest.mark.parametrize('machine', ['same_machine', 'other_machine'])
def test_younger_of_two_supervisors_requests_nothing(
    robot, start_supervisor, listener, tmp_path, machine: str
):
    robot.serve(accept=True)
    diagnoses = listener.listen(DiagnosticArray, '/diagnostics', qos.RELIABLE)
    start_supervisor(*LIVE, *QUICK)
    robot.ready()
    robot.hold(0.9, lambda: robot.alerts, 'an alert of the older supervisor')
    other = {} if machine == 'same_machine' else {'ROS_HOME': str(tmp_path / 'other')}
    younger = start_supervisor(*LIVE, *QUICK, **other)
    why = 'another supervisor is in charge' if other else 'another supervisor of this name runs'
    robot.hold(
        0.9, lambda: any(why in s.message for d in diagnoses for s in d.status),
        'the passive supervisor',
    )  # fmt: skip
    robot.fall()
    wait(lambda: 'retry_accepted' in kinds(robot.alerts), 'the acceptance')
    time.sleep(0.5)
    assert robot.asked == 1
    assert younger.poll() is None


def test_episode_is_published_again_when_a_rival_ends(robot, start_supervisor, listener):
    """A node that discovers the rival late has received the rival's episode last."""
    start_supervisor(*LIVE, *QUICK)
    robot.ready()
    count, name = len(robot.episodes), robot.state.id
    node = rclpy.create_node('rival', context=listener.context)
    node.create_publisher(SupervisorState, '~/state', qos.LATCHED)

    def is_repeated() -> bool:
        rival = node.create_publisher(Alert, 'alert', qos.LATCHED)
        time.sleep(1.0)  # the older one looks for others every 0.5 s
        node.destroy_publisher(rival)
        time.sleep(1.0)
        return len(robot.episodes) > count

    wait(is_repeated, 'the episode')
    assert {episode.id for episode in robot.episodes[count:]} == {name}
    node.destroy_node()


def test_rival_of_an_older_session_is_named_and_unknown_until_it_ends(
    robot, start_supervisor, listener
):
    """It may be a stranger: alerts of a node with a state are those of a supervisor."""
    robot.serve(accept=True)
    diagnoses = listener.listen(DiagnosticArray, '/diagnostics', qos.RELIABLE)
    start_supervisor(*LIVE, *QUICK)
    robot.ready()
    name = robot.state.id
    robot.hold(0.9, lambda: robot.level == Alert.OK, 'a good state')
    context = Context()
    rclpy.init(context=context)
    rival = rclpy.create_node('stranger', context=context)
    rival.create_publisher(SupervisorState, '~/state', qos.LATCHED)
    rival.create_publisher(Alert, 'alert', qos.LATCHED).publish(Alert(session_id=1))
    robot.hold(0.9, lambda: robot.level == Alert.UNKNOWN, 'unknown')
    gids = lambda: [  # noqa: E731
        bytes(one.endpoint_gid).rstrip(bytes(1)).hex('.')
        for one in rival.get_publishers_info_by_topic('alert') if one.node_name == 'stranger'
    ]  # fmt: skip
    wait(gids, 'the rival in the graph')
    by_gid = f'/stranger, GID {gids()[0]}; end it or this one'
    why = f'another supervisor is in charge, of the older session 1: {by_gid}'
    if 'one of ' not in robot.reason:  # Jazzy does not tell the GID of a message
        assert robot.reason.startswith(f'passive: {why}')
    wait(
        lambda: any(
            s.name == '/supervisor: watch' and s.level == DiagnosticStatus.WARN
            and s.message in robot.reason for d in diagnoses for s in d.status
        ),
        'the warning',
    )  # fmt: skip
    seen, began = len(robot.states), time.monotonic()
    robot.hold(-0.5, lambda: time.monotonic() - began > 2.0, 'a fall')
    assert (len(robot.states), robot.asked) == (seen, 0)
    rclpy.shutdown(context=context)
    robot.hold(0.9, lambda: robot.level == Alert.OK, 'its state again')
    assert robot.states[-1].episode_id == robot.state.id == name
    robot.fall()
    wait(lambda: robot.asked == 1, 'the retry')


def test_alert_of_a_node_without_state_makes_nobody_passive(robot, start_supervisor, listener):
    robot.serve(accept=True)
    diagnoses = listener.listen(DiagnosticArray, '/diagnostics', qos.RELIABLE)
    start_supervisor(*LIVE, *QUICK)
    robot.ready()
    stranger = listener.create_publisher(Alert, 'alert', qos.LATCHED)
    stranger.publish(Alert(session_id=1, level=Alert.NEEDS_OPERATOR))
    why = '/listener publishes /alert and is no supervisor: end it'
    robot.hold(
        0.8,
        lambda: any(
            s.message == why and s.level == DiagnosticStatus.ERROR
            for d in diagnoses for s in d.status
        ),
        'the report',
    )  # fmt: skip
    robot.fall()
    wait(lambda: robot.asked == 1, 'the retry')


def test_best_effort_value_error_names_topic_and_policy(start_supervisor, listener):
    diagnoses = listener.listen(DiagnosticArray, '/diagnostics', qos.RELIABLE)
    listener.create_publisher(Value, 'value', qos.IMAGE)
    start_supervisor()
    wait(
        lambda: any('incompatible QoS' in s.message for d in diagnoses for s in d.status),
        'the diagnosis',
    )
    found = next(s for d in diagnoses for s in d.status if 'incompatible' in s.message)
    assert found.level == DiagnosticStatus.ERROR
    assert '/value' in found.message and 'RELIABILITY' in found.message


def test_values_slower_than_calibrated_are_a_warning(robot, start_supervisor, listener):
    diagnoses = listener.listen(DiagnosticArray, '/diagnostics', qos.RELIABLE)
    start_supervisor(*QUICK, '-p', 'silence.silence_after:=10.0')
    robot.ready()
    slow = 'Hz, must be at 10 Hz, for which thresholds hold'

    def warned() -> bool:
        robot.send(0.5)
        time.sleep(0.25)
        found = [s for d in list(diagnoses) for s in d.status if s.name == '/supervisor: watch']
        return any(s.level == DiagnosticStatus.WARN and slow in s.message for s in found)

    wait(warned, 'a warning')
    assert not [a for a in robot.alerts if a.level == Alert.ALARM]
