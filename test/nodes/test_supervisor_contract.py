# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The interface of robot and supervisor: episodes, execution, retries, stored state."""

import signal
import time

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rcl_interfaces.srv import SetParameters
from rclpy.action import ActionServer
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger
from support.examples import load_example
from support.judged_robot import CALM, LIVE, kinds
from support.ros import PATIENCE, PATIENT_MONITOR, wait

from viva_ros.action import Retry
from viva_ros.msg import Alert, GroundTruth, SupervisorState, Value
from viva_ros.nodes import qos
from viva_ros.srv import StartEpisode


def hold_for(robot, value, seconds):
    end = time.monotonic() + seconds
    robot.hold(value, lambda: time.monotonic() > end, f'{seconds} s')


def said(diagnoses):
    return [status.message for diagnosis in diagnoses for status in diagnosis.status]


def raising(alerts):
    return [a.kind for a in alerts if a.level in (Alert.ALARM, Alert.NEEDS_OPERATOR)]


def test_idle_robot_is_never_judged(robot, start_supervisor):
    robot.serve(accept=True)
    robot.executing = False
    start_supervisor(*LIVE, *CALM)
    wait(lambda: robot._publisher.get_subscription_count(), 'the supervisor')
    for value in (0.9, -0.9, 0.9):  # before the first episode
        hold_for(robot, value, 1.5)
    assert raising(robot.alerts) == [] and robot.asked == 0
    wait(lambda: robot.states and robot.states[-1].level == Alert.PAUSED, 'the state')
    assert robot.states[-1].reason == 'not judged: no episode is under way'
    robot.begin()  # an episode whose robot does not execute yet
    for value in (0.9, -0.9):
        hold_for(robot, value, 1.5)
    assert raising(robot.alerts) == [] and robot.asked == 0
    robot.executing = True
    wait(lambda: robot.state.executing, 'the execution')
    hold_for(robot, 0.9, 1.0)
    assert robot.listener.trigger('supervisor/end_episode').success
    wait(lambda: robot.state.id == '', 'the end')
    for value in (0.9, -0.9):  # after it
        hold_for(robot, value, 1.5)
    assert raising(robot.alerts) == [] and robot.asked == 0


def test_episodes_end_once_and_ids_differ_after_a_cleanup(robot, start_supervisor, listener):
    start_supervisor()
    wait(lambda: listener.count_publishers('supervisor/state'), 'the supervisor')
    refused = listener.trigger('supervisor/end_episode')
    assert not refused.success
    assert refused.message == 'no episode is under way: call start_episode'
    robot.ready()
    first = robot.state.id
    assert listener.trigger('supervisor/end_episode').success
    for transition in (4, 2, 1, 3):  # deactivate, clean up, configure, activate
        assert change_state(listener, transition)
    wait(lambda: listener.count_publishers('supervisor/state'), 'the supervisor')
    assert robot.begin() != first


def change_state(listener, transition):
    from lifecycle_msgs.srv import ChangeState

    request = ChangeState.Request()
    request.transition.id = transition
    return listener.call(ChangeState, 'supervisor/change_state', request).success


def test_unknown_task_is_refused_and_the_episode_stays(robot, start_supervisor, listener):
    start_supervisor()
    robot.ready()
    before = robot.state
    request = StartEpisode.Request(task='somersault')
    answer = listener.call(StartEpisode, 'supervisor/start_episode', request)
    assert not answer.success and answer.episode_id == ''
    assert 'somersault' in answer.message and 'tray_lift' in answer.message
    time.sleep(0.3)
    assert robot.state == before


def test_retry_of_many_cool_downs_is_requested_once(robot, start_supervisor):
    robot.serve(accept=True)
    robot.way_home = 6.0
    start_supervisor(*LIVE, *CALM)
    robot.ready()
    time.sleep(0.6)  # for a cool-down after its start it requests nothing
    robot.fall()
    wait(lambda: 'retry_accepted' in kinds(robot.alerts), 'the acceptance')
    robot.hold(-0.5, lambda: 'retry_succeeded' in kinds(robot.alerts), 'the end of the retry')
    assert robot.asked == 1 and kinds(robot.alerts).count('retry_requested') == 1
    assert [s.retry_state for s in robot.states].count('retrying') >= 1
    robot.fall()  # in the attempt after it, another failure is another alarm
    wait(lambda: robot.asked == 2, 'the second retry')


def test_accepted_retry_without_stop_needs_operator(robot, start_supervisor, listener):
    def accept(request, response):
        response.success = True
        return response

    listener.create_service(Trigger, 'retry', accept)
    start_supervisor(*LIVE, *CALM, '-p', 'retry.begin_within:=0.5')
    robot.ready()
    time.sleep(0.6)
    robot.fall()
    robot.hold(-0.5, lambda: 'retry_unfinished' in kinds(robot.alerts), 'the operator')
    text = next(a.text for a in robot.alerts if a.kind == 'retry_unfinished')
    assert 'has not stopped executing within 0.5 s' in text


def test_unpublished_execution_report_is_unknown(robot, start_supervisor, listener):
    diagnoses = listener.listen(DiagnosticArray, '/diagnostics', qos.RELIABLE)
    start_supervisor(
        *LIVE, '-p', 'robot.executing_topic:=nobody_publishes_this',
        '-p', 'robot.report_timeout:=2.0',
    )  # fmt: skip
    wait(lambda: robot._publisher.get_subscription_count(), 'the supervisor')
    request = StartEpisode.Request()
    assert listener.call(StartEpisode, 'supervisor/start_episode', request).success
    robot.hold(0.9, lambda: 'robot' in kinds(robot.alerts), 'the report')
    report = next(a for a in robot.alerts if a.kind == 'robot')
    assert report.level == Alert.UNKNOWN
    assert '/nobody_publishes_this is not published yet' in report.text
    wait(lambda: robot.states[-1].level == Alert.UNKNOWN, 'the state')
    wait(
        lambda: any(
            s.level == DiagnosticStatus.ERROR and 'nobody_publishes_this' in s.message
            for d in diagnoses for s in d.status
        ),
        'the diagnosis',
    )  # fmt: skip


def test_retries_without_execution_report_fail_configure(start_supervisor, listener):
    diagnoses = listener.listen(DiagnosticArray, '/diagnostics', qos.RELIABLE)
    start_supervisor('-p', 'retry.dry_run:=false')
    wait(
        lambda: any('robot.executing_topic is empty' in s.message
                    for d in diagnoses for s in d.status),
        'the refusal',
    )  # fmt: skip


def test_operator_stays_required_until_acknowledged(robot, start_supervisor, listener):
    robot.serve(accept=False, message='the payload is on the floor')
    supervisor = start_supervisor(*LIVE, *CALM)
    robot.ready()
    robot.need_operator()
    told = len(robot.alerts)
    hold_for(robot, 0.9, 2.0)  # the value recovers, and falls again
    hold_for(robot, -0.9, 2.0)
    robot.begin()
    hold_for(robot, 0.9, 1.0)
    assert {a.level for a in robot.alerts[told:]} == {Alert.NEEDS_OPERATOR}
    assert robot.states[-1].kind == 'retry_budget_exhausted' and robot.asked == 2
    since = robot.states[-1].since
    supervisor.kill()
    supervisor.wait()
    session, known = robot.states[-1].session_id, len(robot.states)
    start_supervisor(*LIVE, *CALM)
    fresh = lambda: [s for s in robot.states[known:] if s.session_id != session]  # noqa: E731
    robot.hold(0.9, lambda: fresh() and fresh()[-1].level != Alert.UNKNOWN, 'the next supervisor')
    assert fresh()[-1].level == Alert.NEEDS_OPERATOR and fresh()[-1].reason
    assert since.sec > 0
    assert listener.trigger('supervisor/acknowledge').success
    robot.hold(0.9, lambda: robot.states[-1].level == Alert.OK, 'the acknowledgement')


def test_episode_continues_after_kill_and_ends_on_sigint(robot, start_supervisor, processes):
    first = start_supervisor(*LIVE, *CALM)
    robot.ready()
    name = robot.state.id
    first.kill()
    first.wait()
    seen = len(robot.episodes)
    second = start_supervisor(*LIVE, *CALM)
    wait(lambda: len(robot.episodes) > seen and robot.state.id == name, 'the same episode')
    wait(lambda: 'resumed: episode' in processes.log(second), 'the report')
    second.send_signal(signal.SIGINT)
    assert second.wait(PATIENCE) == 0
    seen = len(robot.episodes)
    start_supervisor(*LIVE, *CALM)
    wait(lambda: len(robot.episodes) > seen and robot.state.id == '', 'no episode')


def test_younger_supervisor_stays_passive_and_changes_nothing(robot, start_supervisor, listener):
    """It neither takes over nor ends the episode."""
    robot.serve(accept=True)
    diagnoses = listener.listen(DiagnosticArray, '/diagnostics', qos.RELIABLE)
    start_supervisor(*LIVE, *CALM)
    robot.ready()
    robot.hold(0.9, lambda: robot.alerts, 'an alert of the older supervisor')
    name, session = robot.state.id, robot.alerts[-1].session_id
    younger = start_supervisor(*LIVE, *CALM)
    robot.hold(
        0.9, lambda: any('runs on this machine' in s for s in said(diagnoses)),
        'the passive supervisor',
    )  # fmt: skip
    hold_for(robot, 0.9, 2.0)
    younger.send_signal(signal.SIGINT)
    assert younger.wait(PATIENCE) == 0
    hold_for(robot, 0.9, 1.0)
    assert robot.state.id == name and robot.state.executing
    assert robot.states[-1].session_id == session
    robot.fall()
    wait(lambda: robot.asked == 1, 'the retry')


def test_acknowledge_works_before_activation(robot, start_supervisor, listener):
    robot.serve(accept=False, message='the payload is on the floor')
    first = start_supervisor(*LIVE, *CALM)
    robot.ready()
    robot.need_operator()
    first.kill()
    first.wait()
    wait(lambda: not listener.count_publishers('supervisor/state'), 'its end')
    second = start_supervisor(*LIVE, *CALM, '-p', 'autostart:=false')
    wait(lambda: listener.count_publishers('supervisor/transition_event'), 'the next one')
    assert change_state(listener, 1)  # configure
    assert listener.trigger('supervisor/acknowledge').success
    assert change_state(listener, 3)  # activate
    wait(lambda: robot.states[-1].session_id == robot.alerts[-1].session_id, 'its state')
    assert second.poll() is None


def test_state_of_deactivated_supervisor_is_unknown(robot, start_supervisor, listener):
    start_supervisor(*LIVE, *CALM)
    robot.ready()
    is_good = lambda: robot.states and robot.states[-1].level == Alert.OK  # noqa: E731
    robot.hold(0.9, is_good, 'a good state')
    assert change_state(listener, 4)
    wait(lambda: robot.states[-1].level == Alert.UNKNOWN, 'the state')
    assert 'not active' in robot.states[-1].reason


def test_retry_by_action_sends_reason_and_ends_with_result(robot, start_supervisor, listener):
    goals, may_end = [], []

    def execute(handle):
        goals.append(handle.request)
        wait(lambda: may_end, 'leave to end')
        handle.succeed()
        return Retry.Result(success=True)

    server = ActionServer(listener, Retry, 'try_again', execute)
    start_supervisor(
        '-p', 'retry.dry_run:=false', '-p', 'retry.by:=action', '-p', 'retry.name:=try_again',
        *CALM,
    )  # fmt: skip
    robot.ready()
    time.sleep(0.6)
    robot.fall()
    wait(lambda: goals, 'the goal')
    goal = goals[0]
    assert (goal.kind, goal.attempt, goal.budget, goal.task) == ('drop', 1, 2, 'tray_lift')
    assert goal.episode_id == robot.state.id and 'value fell' in goal.reason and goal.onset.sec
    # The executor of this test runs the goal, so nothing else is heard until it may end.
    may_end.append(True)
    robot.hold(-0.5, lambda: 'retry_succeeded' in kinds(robot.alerts), 'the end of the retry')
    assert len(goals) == 1
    server.destroy()


def set_parameter(listener, name, value):
    parameter = Parameter(name, value=value).to_parameter_msg()
    request = SetParameters.Request(parameters=[parameter])
    (result,) = listener.call(SetParameters, 'supervisor/set_parameters', request).results
    return result


def test_only_dry_run_and_budget_change_live(robot, start_supervisor, listener):
    robot.serve(accept=True)
    start_supervisor('-p', 'robot.executing_topic:=executing', *CALM)
    robot.ready()
    time.sleep(0.6)
    robot.fall()
    wait(lambda: 'retry_dry_run' in kinds(robot.alerts), 'the report of a dry run')
    refused = set_parameter(listener, 'alarm.cool_down', 1.0)
    assert not refused.successful
    assert 'only retry.budget, retry.dry_run may change now' in refused.reason
    assert set_parameter(listener, 'retry.dry_run', False).successful
    assert set_parameter(listener, 'retry.budget', 5).successful
    wait(lambda: robot.states[-1].retry_budget == 5 and not robot.states[-1].dry_run, 'it')
    robot.hold(0.9, lambda: robot.states[-1].level == Alert.OK, 'the recovery')
    robot.fall()
    wait(lambda: robot.asked == 1, 'the retry')


def test_dry_run_cannot_end_without_execution_report(robot, start_supervisor, listener):
    start_supervisor(*CALM)
    listener.trigger('supervisor/acknowledge')  # it is there
    refused = set_parameter(listener, 'retry.dry_run', False)
    assert not refused.successful and 'robot.executing_topic is empty' in refused.reason


def test_example_policy_hook_serves_episode_and_retry(processes, listener, start_supervisor):
    """The hook serves episodes, execution and a retry through the real services."""
    hook = load_example('policy_hook.py').Hook(listener)
    alerts = listener.listen(Alert, 'alert', qos.LATCHED_READER)
    states = listener.listen(SupervisorState, 'supervisor/state', qos.LATCHED_READER)
    (processes.folder / 'level').write_text('200')
    processes.start('fake_source.py', processes.folder, 'head', 'left_wrist', 'right_wrist',
                    'joint_states')  # fmt: skip
    processes.start('fake_monitor.py', '--ros-args', '-p', 'transport:=raw', *PATIENT_MONITOR)
    start_supervisor(*LIVE, *CALM)
    wait(lambda: states and states[-1].level == Alert.PAUSED, 'an idle supervisor')
    hook.begin('tray_lift')
    wait(lambda: states[-1].level == Alert.OK, 'a good episode')
    begin = time.monotonic()

    def asked() -> bool:
        """Fall from a high value, again if a busy machine has missed it."""
        level = 200 if (time.monotonic() - begin) % 15.0 < 3.0 else 60
        (processes.folder / 'level').write_text(str(level))
        return hook.retry_wanted

    wait(asked, 'the retry')
    wait(lambda: states[-1].retry_state == 'retrying', 'the retry to have begun')
    (processes.folder / 'level').write_text('200')
    hook.resume()
    wait(lambda: 'retry_succeeded' in kinds(alerts), 'its end')
    hook.end()
    wait(lambda: states[-1].episode_id == '', 'the end of the episode')
    wait(lambda: states[-1].level == Alert.PAUSED, 'an idle supervisor')


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_simulated_robot_runs_a_whole_episode_after_start(processes, listener):
    """`start` is the only call: failure, alert, retry, success, end of the episode."""
    pytest.importorskip('mujoco', reason='mujoco is not installed')
    alerts = listener.listen(Alert, 'alert', qos.LATCHED_READER)
    states = listener.listen(SupervisorState, 'supervisor/state', qos.LATCHED_READER)
    truths = listener.listen(GroundTruth, 'ground_truth', qos.RELIABLE)
    processes.start('viva_ros.cli.main', 'up', 'demo')
    wait(lambda: states and states[-1].level == Alert.PAUSED, 'an idle supervisor', 90.0)
    time.sleep(10.0)
    assert raising(alerts) == [] and kinds(alerts)[-1] == 'paused'
    assert listener.trigger('start').success
    wait(lambda: 'retry_requested' in kinds(alerts), 'the retry', 90.0)
    wait(lambda: truths[-1].success, 'success', 120.0)
    wait(lambda: states[-1].episode_id == '', 'the end of the episode')
    wait(lambda: states[-1].level == Alert.PAUSED, 'an idle supervisor')
    values = listener.listen(Value, 'value', qos.RELIABLE)
    task = Parameter('task', value='cube_transfer').to_parameter_msg()
    failure = Parameter('failure', value='none').to_parameter_msg()
    request = SetParameters.Request(parameters=[task, failure])
    results = listener.call(SetParameters, 'sim/set_parameters', request).results
    assert all(result.successful for result in results)
    assert listener.trigger('start').success  # monitor and supervisor follow to another task

    def of_task():
        return [v for v in values if v.task == 'cube_transfer' and v.executing]

    wait(lambda: any(v.status == Value.STATUS_OK for v in of_task()), 'values of the other task')
    wait(lambda: states[-1].level in (Alert.OK, Alert.WARN), 'a judgement of the other task')
    assert states[-1].task == 'cube_transfer'
