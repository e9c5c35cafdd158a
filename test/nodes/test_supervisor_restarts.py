# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""State that passes from one supervisor to the next, after a kill, a takeover or a restart."""

import time

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from support.examples import load_example
from support.judged_robot import CALM, LIVE, kinds
from support.ros import wait

from viva_ros.msg import Alert, Episode
from viva_ros.nodes import qos
from viva_ros.srv import StartEpisode

BY_ACTION = ('-p', 'retry.dry_run:=false', '-p', 'retry.by:=action')


def change(listener, transition):
    request = ChangeState.Request(transition=Transition(id=transition))
    assert listener.call(ChangeState, 'supervisor/change_state', request).success


def test_passive_supervisor_answers_no_call_of_the_robot(robot, start_supervisor, listener):
    diagnoses = listener.listen(DiagnosticArray, '/diagnostics', qos.RELIABLE)
    start_supervisor(*LIVE, *CALM)
    robot.ready()
    start_supervisor(*LIVE, *CALM)
    why = 'another supervisor of this name runs on this machine'
    wait(lambda: any(why in s.message for d in diagnoses for s in d.status), 'a passive one')
    for _ in range(10):
        request = StartEpisode.Request()
        assert listener.call(StartEpisode, 'supervisor/start_episode', request).success
        assert listener.trigger('supervisor/end_episode').success
    assert listener.count_publishers('supervisor/state') == 1
    assert listener.count_services('supervisor/start_episode') == 1


def test_passive_supervisor_takes_over_idle_robot(robot, start_supervisor, processes, listener):
    first = start_supervisor(*LIVE, *CALM)
    wait(lambda: robot.states, 'the state')
    second = start_supervisor(*LIVE, *CALM)
    wait(lambda: 'passive: another supervisor' in processes.log(second), 'a passive one')
    time.sleep(2.5)  # longer than the startup delay
    seen, episodes = len(robot.states), len(robot.episodes)
    first.kill()
    wait(lambda: len(robot.states) > seen and len(robot.episodes) > episodes, 'its word')
    assert robot.states[-1].episode_id == robot.state.id == ''


def test_passive_supervisor_restores_state_after_kill(
    robot, start_supervisor, processes, listener
):
    robot.serve(accept=False, message='the payload is on the floor')
    first = start_supervisor(*LIVE, *CALM)
    robot.ready()
    second = start_supervisor(*LIVE, *CALM)
    wait(lambda: 'passive: another supervisor' in processes.log(second), 'a passive one')
    name = robot.state.id
    robot.need_operator()
    session = robot.states[-1].session_id
    first.kill()
    wait(lambda: 'in charge: episode' in processes.log(second), 'the report')
    robot.hold(0.9, lambda: robot.states[-1].session_id != session, 'its state')
    assert robot.states[-1].level == Alert.NEEDS_OPERATOR
    assert robot.states[-1].episode_id == robot.state.id == name
    assert listener.trigger('supervisor/acknowledge').success


def test_acknowledged_alarm_is_not_raised_after_takeover(
    robot, start_supervisor, processes, listener
):
    latch = ('-p', 'alarm.latch:=true')
    first = start_supervisor(*latch, *CALM)
    robot.ready()
    second = start_supervisor(*latch, *CALM)
    wait(lambda: 'passive: another supervisor' in processes.log(second), 'a passive one')
    robot.fall()
    robot.hold(0.9, lambda: robot.states[-1].level == Alert.LATCHED, 'the latch')
    assert listener.trigger('supervisor/acknowledge').success
    robot.hold(0.9, lambda: robot.states[-1].level == Alert.OK, 'the acknowledgement')
    seen, session = len(robot.states), robot.states[-1].session_id
    first.kill()
    robot.hold(0.9, lambda: robot.states[-1].session_id != session, 'the next one')
    robot.hold(0.9, lambda: robot.states[-1].level == Alert.OK, 'a good episode')
    assert Alert.LATCHED not in [state.level for state in robot.states[seen:]]


def test_operator_stays_required_while_deactivated(robot, start_supervisor, listener):
    robot.serve(accept=False, message='the payload is on the floor')
    start_supervisor(*LIVE, *CALM)
    robot.ready()
    robot.need_operator()
    reason = robot.states[-1].reason
    change(listener, Transition.TRANSITION_DEACTIVATE)
    wait(lambda: robot.states[-1].episode_id == '', 'the end of the episode')
    assert (robot.states[-1].level, robot.states[-1].reason) == (Alert.NEEDS_OPERATOR, reason)
    change(listener, Transition.TRANSITION_CLEANUP)
    wait(lambda: not listener.count_publishers('supervisor/state'), 'the clean-up')
    seen = len(robot.states)
    change(listener, Transition.TRANSITION_CONFIGURE)
    change(listener, Transition.TRANSITION_ACTIVATE)
    wait(lambda: len(robot.states) > seen, 'a new state')
    assert robot.states[-1].level == Alert.NEEDS_OPERATOR
    assert listener.trigger('supervisor/acknowledge').success
    wait(lambda: robot.states[-1].level != Alert.NEEDS_OPERATOR, 'the acknowledgement')


def test_ended_episode_does_not_continue(robot, start_supervisor, processes, listener):
    first = start_supervisor(*LIVE, *CALM)
    robot.ready()
    first.kill()
    first.wait()
    second = start_supervisor(*LIVE, *CALM)
    # At once: perhaps before the supervisor takes the episode over, two seconds after its start.
    answer = listener.trigger('supervisor/end_episode')  # it is repeated if an answer is lost
    assert answer.success or 'no episode is under way' in answer.message
    time.sleep(2.5)
    assert robot.state.id == ''
    change(listener, Transition.TRANSITION_DEACTIVATE)
    change(listener, Transition.TRANSITION_ACTIVATE)
    time.sleep(2.5)
    assert robot.state.id == ''
    assert processes.log(second).count('continues') <= 1


@pytest.mark.parametrize('reported', [True, False])
def test_retry_by_action_after_restart(robot, start_supervisor, reported: bool):
    """The result of the goal is lost with the process that has sent it."""
    robot.serve(accept=True)
    robot.way_home = 60.0
    first = start_supervisor(*LIVE, *CALM)
    robot.ready()
    time.sleep(0.6)
    robot.fall()
    wait(lambda: robot.states[-1].retry_state == 'retrying', 'the retry')
    first.kill()
    first.wait()
    seen = len(robot.alerts)
    start_supervisor(
        *BY_ACTION, *CALM, *(['-p', 'robot.executing_topic:=executing'] if reported else [])
    )
    if not reported:
        # The state is latched; an alert before the subscription is matched again is not.
        wait(lambda: 'restarted during a retry' in robot.states[-1].reason, 'the state')
        assert robot.states[-1].level == Alert.NEEDS_OPERATOR
        return
    wait(lambda: 'resumed' in kinds(robot.alerts[seen:]), 'the episode')
    assert robot.states[-1].retry_state == 'retrying'
    robot.go()
    wait(lambda: 'retry_succeeded' in kinds(robot.alerts[seen:]), 'the end of the retry')


def test_latched_alarm_keeps_its_time_after_restart(robot, start_supervisor):
    first = start_supervisor('-p', 'alarm.latch:=true', *CALM)
    robot.ready()
    robot.fall()
    robot.hold(0.9, lambda: robot.states[-1].level == Alert.LATCHED, 'the latch')
    before = robot.states[-1]
    assert 'an alarm (drop: ' in before.reason
    first.kill()
    first.wait()
    seen = len(robot.states)
    start_supervisor('-p', 'alarm.latch:=true', *CALM)
    robot.hold(
        0.9, lambda: [s for s in robot.states[seen:] if s.level == Alert.LATCHED], 'it again'
    )
    assert (robot.states[-1].reason, robot.states[-1].since) == (before.reason, before.since)


def test_policy_hook_repeats_unanswered_calls(start_supervisor, listener, processes):
    hook = load_example('policy_hook.py').Hook(listener)
    first = start_supervisor(*LIVE, *CALM, '-p', 'autostart:=false')
    change(listener, Transition.TRANSITION_CONFIGURE)
    episodes = listener.listen(Episode, 'episode', qos.LATCHED_READER)
    hook.begin('tray_lift')
    time.sleep(1.0)  # it is refused: not active
    change(listener, Transition.TRANSITION_ACTIVATE)
    wait(lambda: episodes and episodes[-1].id, 'the episode')
    name = episodes[-1].id
    first.kill()
    hook.end()  # without a server
    first.wait()
    start_supervisor(*LIVE, *CALM)
    wait(lambda: episodes[-1].id == '', 'its end')
    hook.begin('tray_lift')
    wait(lambda: episodes[-1].id not in ('', name), 'the next episode')
