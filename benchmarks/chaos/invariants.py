# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What must hold in every run, whatever is done to the processes.

Each function takes the history of a run and returns the violations; none reads a clock or a file.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import numpy as np

from benchmarks.chaos.history import ALARM, OK, TASK, Disturbance, History, RecordedValue
from viva_ros.core.detection.rules import RULES

NODES: Final = ('monitor', 'supervisor', 'black_box')
CAMERAS: Final = ('head', 'wrist')
DISCOVERY: Final = 5 * 10**9  # ns
SUPERVISOR_START: Final = 6.0  # s from its new process to its state: imports, and its delay of 2 s


@dataclass(frozen=True)
class Limits:
    """
    Limits of a run, from the parameters of its nodes.

    :param alarm_age: from an alarm to the retry that it causes: cool-down and back-off, s
    :param value_age: from the stamp of a value to its alarm, s
    :param max_age: parameter sync.max_age of the monitor, s
    :param estimate: its parameter estimate_timeout, s: a known value is not published later
    :param told: time within which a death is told, s
    :param unknown: time after which the level is not OK without values: unknown_after of the
        supervisor, max_age, and a period, s
    :param slope: growth of memory over ten minutes, MiB per minute
    :param handles: growth of the number of files and threads
    :param life: shortest life of a process that is judged, s
    :param recovery: time for the recovery on however busy a machine, s
    """

    alarm_age: float = 12.0
    value_age: float = 1.5
    max_age: float = 0.3
    estimate: float = 1.0
    told: float = 1.0
    unknown: float = 1.5
    slope: float = 1.0
    handles: int = 2
    life: float = 40.0
    recovery: float = 60.0


@dataclass(frozen=True)
class Violation:
    """A broken invariant: its name, when, and what was seen."""

    invariant: str
    at: float
    text: str


Check = Callable[[History, Limits], Iterable[Violation]]


def founded_retries(history: History, limits: Limits) -> Iterable[Violation]:
    """Find retries without a fresh known alarm of the living supervisor."""
    values = {one.stamp: one for one in history.values if one.node == 'monitor' and one.known}
    for at in history.retries:
        slack = history.allowance(at - limits.alarm_age, at)
        alarms = [one for one in history.alerts
                  if one.level == ALARM and one.kind in RULES
                  and at - limits.alarm_age - slack <= one.at <= at + slack]  # fmt: skip
        state = history.state_at(at)
        if not alarms:
            text = f'no alarm in the {limits.alarm_age:g} s before it'
        elif state is not None and alarms[-1].session != state.session:
            text = f'the alarm is of session {alarms[-1].session}, not {state.session}'
        elif (value := values.get(alarms[-1].stamp)) is None:
            text = 'its alarm has the stamp of no known value of the monitor'
        elif alarms[-1].at - value.at > limits.value_age + slack or _age(history, value) > (
            limits.value_age + slack
        ):
            text = f'its value was {_age(history, value):.2f} s old'
        else:
            continue
        yield Violation('founded retries', at, text)


def _age(history: History, value: RecordedValue) -> float:
    """Return the age of a value when it was received, s."""
    return min(history.ages(value.at, value.stamp))


def founded_values(history: History, limits: Limits) -> Iterable[Violation]:
    """Find known values of a monitor without fresh inputs that are in the recording."""
    inputs = {(one.source, one.stamp) for one in history.inputs}
    sources = {one.source for one in history.inputs}
    unheard = _unheard(history)
    floods = {  # the recorder loses messages, too
        name: history.of('flood', target=name if name == 'joint_states' else f'{name}/image_raw')
        for name in sources
    }
    for one in history.values:
        if not one.known or one.node != 'monitor':
            continue
        slack = history.allowance(one.at, one.at)
        if not one.inputs:
            yield Violation('founded values', one.at, 'a known value names no inputs')
        for name, stamp in one.inputs.items():
            source = name.partition(':')[0]
            ages = history.ages(one.at, stamp)
            limit = limits.max_age + limits.estimate
            if not any(-0.1 - slack <= age <= limit + slack for age in ages):
                text = f'{name} is {ages[-1]:.3f} s old, limit {limit:g} s'
            elif (source in sources and (source, stamp) not in inputs
                  and not any(a < stamp < b for a, b in unheard.get(source, ()))
                  and not any(flood.overlaps(one.at - limit, one.at)
                              for flood in floods[source])):  # fmt: skip
                text = f'{name} with stamp {stamp} was never published'
            else:
                continue
            yield Violation('founded values', one.at, text)


def _unheard(history: History) -> dict[str, list[tuple[int, int]]]:
    """
    Return the stamps that the recorder may have missed, by source, ns.

    The monitor may discover a publisher before the recorder does: from the last message of the
    publishers before to the first one of a new publisher, at most DISCOVERY.
    """
    found: dict[str, list[tuple[int, int]]] = {}
    seen, last = set[tuple[str, str]](), dict[str, int]()
    for one in history.inputs:
        if (one.source, one.publisher) not in seen:
            begin = max(last.get(one.source, 0), one.stamp - DISCOVERY)
            found.setdefault(one.source, []).append((begin, one.stamp))
        seen.add((one.source, one.publisher))
        last[one.source] = one.stamp
    return found


def told_deaths(history: History, limits: Limits) -> Iterable[Violation]:
    """Find deaths that are not told within a second: not OK, unknown, or liveliness lost."""
    for one in history.of('kill', 'stop'):
        if one.target in ('black_box', 'engine'):
            continue  # the watch goes on without them, or the monitor tells it by its heartbeat
        until = one.begin + limits.told + history.allowance(one.begin, one.begin + limits.told)
        if one.end < until or _is_told(history, one, until):
            continue
        text = f'{one.kind} of {one.target} was not told within {until - one.begin:.2f} s'
        yield Violation('told deaths', one.begin, text)


def _is_told(history: History, death: Disturbance, until: float) -> bool:
    if any(one.node == death.target and not one.alive and death.begin <= one.at <= until
           for one in history.liveliness):  # fmt: skip
        return True
    if death.target == 'supervisor':
        return False
    if death.target in (*CAMERAS, 'robot'):
        last = [one for one in history.values if one.node == 'monitor' and one.at <= until]
        if last and not last[-1].known:
            return True
    state = history.state_at(until)
    return state is None or state.level != OK


def never_ok_unjudged(history: History, limits: Limits) -> Iterable[Violation]:
    """Find level OK while a camera is silent, two monitors speak, or nothing is judged."""
    silent = [one for target in CAMERAS for one in history.of('kill', 'stop', target=target)]
    for one in [*silent, *history.of('second_monitor', 'foreign_values')]:
        slack = history.allowance(one.begin, one.end)
        begin = one.begin + limits.unknown + slack
        for at, end in history.spans_of(OK):
            if max(at, begin) + slack < min(end, one.end):
                if _supervisor_is_gone(history, max(at, begin), min(end, one.end)):
                    continue
                text = f'OK during {one.kind} of {one.target}'
                yield Violation('never OK unjudged', max(at, begin), text)
    yield from _ok_without_values(history, limits)
    for state, end in history.lasting():
        slack = limits.told + history.allowance(state.at, end)
        if state.level == OK and not state.executing and end - state.at > slack:
            yield Violation('never OK unjudged', state.at, 'OK while the robot does not execute')


def _ok_without_values(history: History, limits: Limits) -> Iterable[Violation]:
    """Yield the times at which the level is OK long after the last known value of the task."""
    of_monitor = [one for one in history.values if one.node == 'monitor']
    known = [one.at for one in of_monitor if one.known and one.task == TASK]
    undiscovered = list(_undiscovered(of_monitor))
    for begin, end in history.spans_of(OK):
        row = bisect_left(known, begin)
        missed = [float(at) for since, until in undiscovered if since < begin < until
                  for at in np.arange(begin, min(until, end), limits.unknown)]  # fmt: skip
        heard = [
            known[row - 1] if row else history.begin,
            *sorted([*missed, *known[row : bisect_left(known, end)]]),
        ]
        for at, following in zip(heard, [*heard[1:], end], strict=True):
            since = max(begin, at + limits.unknown + history.allowance(at, following))
            if since < following and not _supervisor_is_gone(history, since, following):
                text = f'OK {following - at:.2f} s after the last known value of {TASK!r}'
                yield Violation('never OK unjudged', since, text)


def _undiscovered(values: Sequence[RecordedValue]) -> Iterator[tuple[float, float]]:
    """
    Yield spans in which the recorder may have missed the values of a restarted monitor.

    The supervisor may discover it before the recorder does, by DISCOVERY at most: a level that
    becomes OK in such a span is founded on values that are not in the recording.
    """
    seen, last = set[tuple[int, str]](), -math.inf
    for one in values:
        if (one.session, one.publisher) not in seen and math.isfinite(last):
            yield max(last, one.at - DISCOVERY * 1e-9), one.at
        seen.add((one.session, one.publisher))
        last = one.at


def _supervisor_is_gone(history: History, begin: float, end: float) -> bool:
    """Return whether nothing could change the state, so that its last one is seen."""
    back = {'kill': SUPERVISOR_START, 'stop': 1.0}
    return any(
        one.overlaps(begin - back[one.kind], end) and end <= one.end + back[one.kind]
        for one in history.of('kill', 'stop', target='supervisor')
    )


def flat_memory(history: History, limits: Limits) -> Iterable[Violation]:
    """Find processes whose memory or handles grow."""
    ordered = sorted(history.samples, key=lambda one: (one.node, one.pid, one.at))
    for (node, pid), group in groupby(ordered, key=lambda one: (one.node, one.pid)):
        life = list(group)
        warm = [one for one in life if one.at >= life[0].at + 0.3 * (life[-1].at - life[0].at)]
        span = warm[-1].at - warm[0].at
        if span < limits.life:
            continue
        minutes = np.array([one.at - warm[0].at for one in warm]) / 60.0
        slope = float(np.polyfit(minutes, [one.memory for one in warm], 1)[0])
        limit = limits.slope * max(1.0, min(10.0, 600.0 / span))
        if slope > limit:
            text = f'{node} ({pid}) grows by {slope:.2f} MiB per minute, limit {limit:.2f}'
            yield Violation('flat memory', warm[0].at, text)
        # The fewest: garbage collection frees those of an engine that was exchanged, in time.
        fifth = max(1, len(warm) // 5)
        first, last = (min(one.handles for one in part)
                       for part in (warm[:fifth], warm[-fifth:]))  # fmt: skip
        if last > first + limits.handles:
            text = f'{node} ({pid}) has {first} handles at first, {last} at last'
            yield Violation('flat memory', warm[0].at, text)


def whole_files(history: History, limits: Limits) -> Iterable[Violation]:
    """Find files that have their final name and are not whole."""
    for one in history.files:
        if one.fault:
            yield Violation('whole files', history.end, f'{one.path}: {one.fault}')


def recovery(history: History, limits: Limits) -> Iterable[Violation]:
    """Find that values are not known, or the level is not OK, after the last disturbance."""
    if recovered_after(history) is None:
        text = f'no known value with level OK in the {history.end - history.quiet:.0f} s after it'
        yield Violation('recovery', history.quiet, text)


def recovered_after(history: History) -> float | None:
    """Return the time from the last disturbance to a known value at level OK, s; None if never."""
    first = bisect_left(history.values, history.quiet, key=lambda one: one.at)
    for one in history.values[first:]:
        state = history.state_at(one.at)
        if one.known and one.node == 'monitor' and state is not None and state.level == OK:
            return one.at - history.quiet
    return None


INVARIANTS: Final[Mapping[str, Check]] = {
    'founded retries': founded_retries, 'founded values': founded_values,
    'told deaths': told_deaths, 'never OK unjudged': never_ok_unjudged,
    'flat memory': flat_memory, 'whole files': whole_files, 'recovery': recovery,
}  # fmt: skip


def violations(history: History, limits: Limits) -> list[Violation]:
    """Return the violations of all invariants."""
    return [one for check in INVARIANTS.values() for one in check(history, limits)]
