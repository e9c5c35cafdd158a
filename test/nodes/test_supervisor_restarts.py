# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a supervisor that ends, rests or is passive leaves to the next one, and to the robot."""

import importlib.util
import time
from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState

from viva_ros.msg import Alert
from viva_ros.nodes import qos
from viva_ros.srv import StartEpisode

HERE = Path(__file__).parent


def module_of(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tools = module_of(HERE / 'test_supervisor.py')
LIVE, kinds, start = tools.LIVE, tools.kinds, tools.start
CALM = ('-p', 'alarm.cool_down:=0.5')
BY_ACTION = ('-p', 'retry.dry_run:=false', '-p', 'retry.by:=action')


@pytest.fixture
def robot(listener, until):
    return tools.Robot(listener, until)


def change(listener, transition):
    request = ChangeState.Request(transition=Transition(id=transition))
    assert listener.call(ChangeState, 'supervisor/change_state', request).success


def need_operator(robot):
    """Let a retry that the robot refuses end at the operator."""
    time.sleep(0.6)
    robot.fall()
    robot.hold(-0.5, lambda: robot.states[-1].level == Alert.NEEDS_OPERATOR, 'the operator')


def test_passive_supervisor_answers_no_call_of_the_robot(robot, start, listener, until):
    diagnoses = listener.listen(DiagnosticArray, '/diagnostics', qos.RELIABLE)
    start(*LIVE, *CALM)
    robot.ready()
    start(*LIVE, *CALM)
    why = 'another supervisor of this name runs on this machine'
    until(lambda: any(why in s.message for d in diagnoses for s in d.status), 'a passive one')
    for _ in range(10):
        request = StartEpisode.Request()
        assert listener.call(StartEpisode, 'supervisor/start_episode', request).success
        assert listener.trigger('supervisor/end_episode').success
    assert listener.count_publishers('supervisor/state') == 1
    assert listener.count_services('supervisor/start_episode') == 1


def test_passive_supervisor_takes_over_an_idle_robot_and_tells_it(
    robot, start, processes, listener, until
):
    first = start(*LIVE, *CALM)
    until(lambda: robot.states, 'the state')
    second = start(*LIVE, *CALM)
    until(lambda: 'passive: another supervisor' in processes.log(second), 'a passive one')
    time.sleep(2.5)  # until it would have spoken
    seen, episodes = len(robot.states), len(robot.episodes)
    first.kill()
    until(lambda: len(robot.states) > seen and len(robot.episodes) > episodes, 'its word')
    assert robot.states[-1].episode_id == robot.state.id == ''


def test_passive_supervisor_takes_over_with_all_that_is_kept_when_the_other_is_killed(
    robot, start, processes, listener, until
):
    robot.serve(accept=False, message='the payload is on the floor')
    first = start(*LIVE, *CALM)
    robot.ready()
    second = start(*LIVE, *CALM)
    until(lambda: 'passive: another supervisor' in processes.log(second), 'a passive one')
    name = robot.state.id
    need_operator(robot)
    session = robot.states[-1].session_id
    first.kill()
    until(lambda: 'in charge: episode' in processes.log(second), 'the report')
    robot.hold(0.9, lambda: robot.states[-1].session_id != session, 'its state')
    assert robot.states[-1].level == Alert.NEEDS_OPERATOR
    assert robot.states[-1].episode_id == robot.state.id == name
    assert listener.trigger('supervisor/acknowledge').success


def test_alarm_that_was_acknowledged_is_not_raised_by_the_next_supervisor(
    robot, start, processes, listener, until
):
    latch = ('-p', 'alarm.latch:=true')
    first = start(*latch, *CALM)
    robot.ready()
    second = start(*latch, *CALM)
    until(lambda: 'passive: another supervisor' in processes.log(second), 'a passive one')
    robot.fall()
    robot.hold(0.9, lambda: robot.states[-1].level == Alert.LATCHED, 'the latch')
    assert listener.trigger('supervisor/acknowledge').success
    robot.hold(0.9, lambda: robot.states[-1].level == Alert.OK, 'the acknowledgement')
    seen, session = len(robot.states), robot.states[-1].session_id
    first.kill()
    robot.hold(0.9, lambda: robot.states[-1].session_id != session, 'the next one')
    robot.hold(0.9, lambda: robot.states[-1].level == Alert.OK, 'a good episode')
    assert Alert.LATCHED not in [state.level for state in robot.states[seen:]]


def test_operator_stays_required_while_the_supervisor_rests(robot, start, listener, until):
    robot.serve(accept=False, message='the payload is on the floor')
    start(*LIVE, *CALM)
    robot.ready()
    need_operator(robot)
    reason = robot.states[-1].reason
    change(listener, Transition.TRANSITION_DEACTIVATE)
    until(lambda: robot.states[-1].episode_id == '', 'the end of the episode')
    assert (robot.states[-1].level, robot.states[-1].reason) == (Alert.NEEDS_OPERATOR, reason)
    change(listener, Transition.TRANSITION_CLEANUP)
    until(lambda: not listener.count_publishers('supervisor/state'), 'the clean-up')
    seen = len(robot.states)
    change(listener, Transition.TRANSITION_CONFIGURE)
    change(listener, Transition.TRANSITION_ACTIVATE)
    until(lambda: len(robot.states) > seen, 'a new state')
    assert robot.states[-1].level == Alert.NEEDS_OPERATOR
    assert listener.trigger('supervisor/acknowledge').success
    until(lambda: robot.states[-1].level != Alert.NEEDS_OPERATOR, 'the acknowledgement')


def test_episode_that_has_ended_does_not_go_on(robot, start, processes, listener, until):
    first = start(*LIVE, *CALM)
    robot.ready()
    first.kill()
    first.wait()
    second = start(*LIVE, *CALM)
    # At once: perhaps before the supervisor takes the episode over, two seconds after its start.
    answer = listener.trigger('supervisor/end_episode')  # it is repeated if an answer is lost
    assert answer.success or 'no episode is under way' in answer.message
    time.sleep(2.5)
    assert robot.state.id == ''
    change(listener, Transition.TRANSITION_DEACTIVATE)
    change(listener, Transition.TRANSITION_ACTIVATE)
    time.sleep(2.5)
    assert robot.state.id == ''
    assert processes.log(second).count('goes on') <= 1


@pytest.mark.parametrize('reported', [True, False])
def test_retry_by_action_goes_on_after_a_restart_or_needs_an_operator(
    robot, start, until, reported: bool
):
    """The result of the goal is lost with the process that has sent it."""
    robot.serve(accept=True)
    robot.way_home = 60.0
    first = start(*LIVE, *CALM)
    robot.ready()
    time.sleep(0.6)
    robot.fall()
    until(lambda: robot.states[-1].retry_state == 'retrying', 'the retry')
    first.kill()
    first.wait()
    seen = len(robot.alerts)
    start(*BY_ACTION, *CALM, *(['-p', 'robot.executing_topic:=executing'] if reported else []))
    if not reported:
        until(lambda: 'retry_unfinished' in kinds(robot.alerts[seen:]), 'the operator')
        until(lambda: 'started again during a retry' in robot.states[-1].reason, 'the state')
        return
    until(lambda: 'resumed' in kinds(robot.alerts[seen:]), 'the episode')
    assert robot.states[-1].retry_state == 'retrying'
    robot.go()
    until(lambda: 'retry_done' in kinds(robot.alerts[seen:]), 'the end of the retry')


def test_alarm_that_waits_for_acknowledgement_is_told_with_its_time_after_a_restart(
    robot, start, until
):
    first = start('-p', 'alarm.latch:=true', *CALM)
    robot.ready()
    robot.fall()
    robot.hold(0.9, lambda: robot.states[-1].level == Alert.LATCHED, 'the latch')
    before = robot.states[-1]
    assert 'an alarm (drop: ' in before.reason
    first.kill()
    first.wait()
    seen = len(robot.states)
    start('-p', 'alarm.latch:=true', *CALM)
    robot.hold(
        0.9, lambda: [s for s in robot.states[seen:] if s.level == Alert.LATCHED], 'it again'
    )
    assert (robot.states[-1].reason, robot.states[-1].since) == (before.reason, before.since)


def test_policy_hook_calls_again_where_the_supervisor_could_not_take_it(
    start, listener, until, processes
):
    hook = module_of(HERE.parents[1] / 'examples' / 'policy_hook.py').Hook(listener)
    first = start(*LIVE, *CALM, '-p', 'autostart:=false')
    change(listener, Transition.TRANSITION_CONFIGURE)
    episodes = listener.listen(tools.Episode, 'episode', qos.LATCHED_READER)
    hook.begin('tray_lift')
    time.sleep(1.0)  # it is refused: not active
    change(listener, Transition.TRANSITION_ACTIVATE)
    until(lambda: episodes and episodes[-1].id, 'the episode')
    name = episodes[-1].id
    first.kill()
    hook.end()  # while nobody answers
    first.wait()
    start(*LIVE, *CALM)
    until(lambda: episodes[-1].id == '', 'its end')
    hook.begin('tray_lift')
    until(lambda: episodes[-1].id not in ('', name), 'the next episode')
