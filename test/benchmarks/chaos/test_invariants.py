# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Each invariant of the chaos run holds for a sound history, and fails for a broken one."""

from dataclasses import replace

import pytest

from benchmarks.chaos import invariants
from benchmarks.chaos.history import (
    ALARM,
    NEEDS_OPERATOR,
    OK,
    PAUSED,
    UNKNOWN,
    WARN,
    Clock,
    Disturbance,
    FileFinding,
    History,
    Liveliness,
    RecordedAlert,
    RecordedInput,
    RecordedState,
    RecordedValue,
    Sample,
)
from benchmarks.chaos.invariants import Limits

LIMITS = Limits()


def ns(at: float) -> int:
    return round(at * 1e9)


def value(at: float, known: bool = True, age: float = 0.1, **other) -> RecordedValue:
    stamp = ns(at - age)
    inputs = {'head': stamp, 'joint_states': stamp} if known else {}
    return RecordedValue(at, stamp, known, 0.5, inputs, **other)


def sound(seconds: int = 20) -> History:
    """Return a run without a disturbance: values and inputs at 10 Hz, level OK."""
    times = [100.0 + 0.1 * k for k in range(10 * seconds)]
    inputs = [RecordedInput(at - 0.05, source, ns(at - 0.1))
              for at in times for source in ('head', 'joint_states')]  # fmt: skip
    return History(
        values=[value(at) for at in times], inputs=inputs, states=[RecordedState(99.0, OK)],
        begin=99.0, quiet=99.0, end=100.0 + seconds,
    )  # fmt: skip


def found(check, history: History) -> list[str]:
    return [one.text for one in check(history, LIMITS)]


def test_sound_run_breaks_no_invariant():
    assert invariants.violations(sound(), LIMITS) == []


def with_retry(at: float, *alerts: RecordedAlert, session: int = 1) -> History:
    states = [RecordedState(99.0, OK, session=session)]
    return replace(sound(), retries=[at], alerts=alerts, states=states)


ALARMED = RecordedAlert(105.05, ns(104.9), ALARM, 'drop')  # of the value that came at 105.0


def test_retry_after_a_fresh_known_alarm_is_sound():
    assert found(invariants.founded_retries, with_retry(105.2, ALARMED)) == []


@pytest.mark.parametrize(
    ('history', 'text'),
    [
        (with_retry(105.2), 'no alarm in the 12 s before it'),
        (with_retry(105.2, replace(ALARMED, kind='retry_requested')), 'no alarm'),
        (with_retry(105.2, replace(ALARMED, level=WARN)), 'no alarm'),
        (with_retry(118.0, ALARMED), 'no alarm'),
        (with_retry(105.2, ALARMED, session=2), 'the alarm is of session 1, not 2'),
        (with_retry(105.2, replace(ALARMED, stamp=ns(1.0))), 'stamp of no known value'),
        (with_retry(109.2, replace(ALARMED, at=109.0)), 'its value was 0.10 s old'),
    ],
)
def test_retry_without_foundation_is_found(history, text):
    (one,) = found(invariants.founded_retries, history)
    assert text in one


@pytest.mark.parametrize(
    ('change', 'text'),
    [
        ({'known': False}, 'no known value'),
        ({'node': 'stranger'}, 'no known value'),
        ({'stamp': ns(104.9), 'at': 150.0}, 'its value was 45.10 s old'),
    ],
)
def test_retry_for_the_value_of_another_is_found(change, text):
    history = with_retry(105.2, ALARMED)
    values = [replace(one, **change) if one.stamp == ALARMED.stamp else one
              for one in history.values]  # fmt: skip
    (one,) = found(invariants.founded_retries, replace(history, values=values))
    assert text in one


def instead(history: History, at: float, new: RecordedValue) -> History:
    values = [new if abs(one.at - at) < 0.01 else one for one in history.values]
    return replace(history, values=values)


@pytest.mark.parametrize(
    ('new', 'text'),
    [
        (value(105.0, age=1.5), '1.500 s old, limit 1.3 s'),
        (value(105.0, age=-1.0), '-1.000 s old'),
        (replace(value(105.0), inputs={}), 'names no inputs'),
        (replace(value(105.0), inputs={'head': ns(104.87)}), 'was never published'),
    ],
)
def test_known_value_without_fresh_inputs_is_found(new, text):
    assert text in found(invariants.founded_values, instead(sound(), 105.0, new))[0]


def test_inputs_before_the_discovery_of_a_publisher_are_not_missed():
    history = sound()
    lost = [one for one in history.inputs if not (one.source == 'head' and 105.0 < one.at < 107.0)]
    assert found(invariants.founded_values, replace(history, inputs=lost))
    new = [replace(one, publisher='b') if one.at >= 107.0 else one for one in lost]
    assert found(invariants.founded_values, replace(history, inputs=new)) == []


def test_unknown_values_and_those_of_others_need_no_inputs():
    for new in (value(105.0, known=False), value(105.0, age=9.0, node='stranger')):
        assert found(invariants.founded_values, instead(sound(), 105.0, new)) == []


def test_ages_are_those_of_the_simulated_clock():
    history = sound()
    assert found(invariants.founded_values, replace(history, clock=[Clock(99.0, ns(500.0))]))
    clock = [Clock(one.at, ns(one.at)) for one in history.values]
    assert found(invariants.founded_values, replace(history, clock=clock)) == []


def test_value_that_was_under_way_when_the_clock_jumped_is_not_old():
    history = sound()
    clock = [Clock(one.at, ns(one.at + (30.0 if one.at > 105.0 else 0.0)))
             for one in history.values]  # fmt: skip
    texts = found(invariants.founded_values, replace(history, clock=clock))
    assert 'head is -29' not in texts[0] and '30.' in texts[0]
    moved = [replace(one, inputs={}) if one.at > 105.15 else one for one in history.values]
    late = replace(history, clock=clock, values=[one for one in moved if one.inputs])
    assert found(invariants.founded_values, late) == []


def death(target: str, *states: RecordedState, kind: str = 'kill', **other) -> History:
    """Return a run in which a process is gone from 105 s to 110 s."""
    values = [one for one in sound().values if not 105.0 < one.at < 110.0]
    return replace(
        sound(), disturbances=[Disturbance(kind, target, 105.0, 110.0)], values=values,
        states=[RecordedState(99.0, OK), *states], **other,
    )  # fmt: skip


@pytest.mark.parametrize('kind', ['kill', 'stop'])
@pytest.mark.parametrize('target', ['monitor', 'supervisor', 'head', 'robot'])
def test_death_that_nobody_tells_is_found(kind, target):
    (one,) = found(invariants.told_deaths, death(target, kind=kind))
    assert one == f'{kind} of {target} was not told within 1.05 s'


def test_death_is_told_by_the_level_or_by_liveliness():
    late, soon = RecordedState(106.5, UNKNOWN), RecordedState(105.9, UNKNOWN)
    assert found(invariants.told_deaths, death('monitor', late))
    assert found(invariants.told_deaths, death('monitor', soon)) == []
    lost = [Liveliness(105.9, 'monitor', False)]
    assert found(invariants.told_deaths, death('monitor', liveliness=lost)) == []
    other = [Liveliness(105.9, 'supervisor', False)]
    assert found(invariants.told_deaths, death('monitor', liveliness=other))
    assert found(invariants.told_deaths, death('supervisor', soon)), 'it cannot tell its own'
    assert found(invariants.told_deaths, death('supervisor', liveliness=other)) == []


def test_unknown_value_tells_that_a_camera_is_gone():
    values = [one for one in sound().values if one.at <= 105.0]
    told = replace(death('head'), values=[*values, value(105.5, known=False)])
    assert found(invariants.told_deaths, told) == []


def test_busy_machine_may_tell_later():
    history = death('monitor', RecordedState(107.0, UNKNOWN))
    assert found(invariants.told_deaths, history)
    assert found(invariants.told_deaths, replace(history, late=[(105.5, 0.3)])) == []
    assert found(invariants.told_deaths, replace(history, late=[(90.0, 9.0)])), 'long before'


def test_short_stop_need_not_be_told():
    history = replace(sound(), disturbances=[Disturbance('stop', 'monitor', 105.0, 105.8)])
    assert found(invariants.told_deaths, history) == []


@pytest.mark.parametrize('kind', ['kill', 'stop'])
def test_ok_while_a_camera_is_silent_is_found(kind):
    texts = found(invariants.never_ok_unjudged, death('head', kind=kind))
    assert f'OK during {kind} of head' in texts
    states = RecordedState(105.6, UNKNOWN), RecordedState(110.5, OK)
    assert found(invariants.never_ok_unjudged, death('head', *states)) == []


def test_values_of_a_restarted_monitor_may_be_missed_by_the_recorder():
    values = [replace(one, session=2) if one.at > 109.0 else one
              for one in sound().values if not 104.0 < one.at < 112.0]  # fmt: skip
    states = [RecordedState(99.0, OK), RecordedState(105.0, UNKNOWN), RecordedState(109.0, OK)]
    history = replace(sound(), values=values, states=states)
    assert found(invariants.never_ok_unjudged, history) == []
    (one,) = found(invariants.never_ok_unjudged, replace(history, states=states[:1]))
    assert one.startswith('OK 8.')
    same = [replace(one, session=1) for one in values]
    assert found(invariants.never_ok_unjudged, replace(history, values=same))


def test_state_of_a_killed_supervisor_is_seen_until_the_next_one_speaks():
    values = [one for one in sound().values if one.at < 109.5]
    kill = [Disturbance('kill', 'supervisor', 110.0, 111.0)]
    states = [RecordedState(99.0, OK), RecordedState(115.0, UNKNOWN)]
    history = replace(sound(), values=values, states=states, disturbances=kill)
    assert found(invariants.never_ok_unjudged, history) == []
    assert found(invariants.never_ok_unjudged, replace(history, states=states[:1]))
    assert found(invariants.never_ok_unjudged, replace(history, disturbances=[]))


@pytest.mark.parametrize(
    ('target', 'count'), [('head/image_raw', 0), ('wrist/image_raw', 1), ('joint_states', 1)]
)
def test_recorder_may_miss_inputs_of_a_flooded_topic(target, count):
    lost = sound().inputs[40]
    assert lost.source == 'head'
    inputs = [one for one in sound().inputs if one != lost]
    flood = Disturbance('flood', target, lost.at - 1.0, lost.at + 1.0)
    history = replace(sound(), inputs=inputs, disturbances=[flood])
    assert len(found(invariants.founded_values, history)) == count


def test_ok_while_two_monitors_speak_is_found():
    both = [Disturbance('second_monitor', 'monitor', 105.0, 110.0)]
    history = replace(sound(), disturbances=both)
    assert found(invariants.never_ok_unjudged, history) == ['OK during second_monitor of monitor']
    states = [RecordedState(99.0, OK), RecordedState(106.0, UNKNOWN), RecordedState(111.0, OK)]
    assert found(invariants.never_ok_unjudged, replace(history, states=states)) == []


def test_ok_without_values_or_execution_is_found():
    silent = replace(sound(), values=[one for one in sound().values if one.at < 110.0])
    (one,) = found(invariants.never_ok_unjudged, silent)
    assert one == "OK 10.10 s after the last known value of 'tray_lift'"
    other = [replace(one, task='cube_transfer') if one.at > 110.0 else one
             for one in sound().values]  # fmt: skip
    (one,) = found(invariants.never_ok_unjudged, replace(sound(), values=other))
    assert one.startswith('OK 10.0')
    still = replace(sound(), states=[RecordedState(99.0, OK, executing=False)])
    assert 'does not execute' in found(invariants.never_ok_unjudged, still)[0]
    brief = [RecordedState(99.0, OK), RecordedState(105.0, OK, executing=False)]
    brief.append(RecordedState(105.5, PAUSED, executing=False))
    assert found(invariants.never_ok_unjudged, replace(sound(), states=brief)) == []
    paused = replace(sound(), states=[RecordedState(99.0, PAUSED, executing=False)])
    assert found(invariants.never_ok_unjudged, paused) == []


def test_last_state_of_a_dead_supervisor_is_not_its_judgement():
    gone = replace(death('supervisor'), values=[one for one in sound().values if one.at < 105.0])
    gone = replace(gone, disturbances=[Disturbance('kill', 'supervisor', 105.0, 121.0)])
    assert found(invariants.never_ok_unjudged, gone) == []


def lives(slope: float, handles: int, seconds: int = 120) -> History:
    """Return samples of a process that grows by MiB per minute, and by handles at its end."""
    samples = [
        Sample(100.0 + k, 'monitor', 7, 200.0 + slope * k / 60.0,
               40 + (handles if k > 0.8 * seconds else 0))
        for k in range(seconds)
    ]  # fmt: skip
    return History(samples=samples, begin=100.0, end=100.0 + seconds)


def test_growth_of_memory_and_handles_is_found():
    assert found(invariants.flat_memory, lives(0.5, 0)) == []
    assert 'grows by 20.00 MiB per minute' in found(invariants.flat_memory, lives(20.0, 0))[0]
    (one,) = found(invariants.flat_memory, lives(0.0, 5))
    assert one == 'monitor (7) has 40 handles at first, 45 at last'
    assert found(invariants.flat_memory, lives(20.0, 5, seconds=30)) == [], 'too short a life'


def test_handles_that_garbage_collection_frees_are_no_growth():
    still = lives(0.0, 0)
    saw = [replace(one, handles=40 + (row + 12) % 16) for row, one in enumerate(still.samples)]
    assert found(invariants.flat_memory, replace(still, samples=saw)) == []
    grown = [replace(one, handles=one.handles + row // 20) for row, one in enumerate(saw)]
    assert found(invariants.flat_memory, replace(still, samples=grown))


def test_lives_of_two_processes_are_judged_apart():
    first, second = lives(0.0, 0), lives(0.0, 0)
    later = [replace(one, at=one.at + 200.0, pid=8, memory=900.0) for one in second.samples]
    assert found(invariants.flat_memory, replace(first, samples=[*first.samples, *later])) == []


def test_half_a_file_is_found():
    files = [FileFinding('a.mcap'), FileFinding('b.mcap', 'it has no summary')]
    assert found(invariants.whole_files, History(files=files)) == ['b.mcap: it has no summary']


def test_watch_that_does_not_recover_is_found():
    states = [RecordedState(99.0, OK), RecordedState(105.0, NEEDS_OPERATOR)]
    stuck = replace(sound(), quiet=106.0, states=states)
    assert found(invariants.recovery, stuck) == [
        'no known value with level OK in the 14 s after it'
    ]
    better = replace(stuck, states=[*states, RecordedState(108.05, OK)])
    assert found(invariants.recovery, better) == []
    assert invariants.recovered_after(better) == pytest.approx(2.1)
