# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import math
from collections.abc import Iterable
from dataclasses import replace

import pytest
from support.errors import raises

from viva_ros.core.detection.alarm import Alarm, AlarmSettings, Hysteresis, Recovery
from viva_ros.core.detection.detector import Detector, DetectorSettings
from viva_ros.core.detection.rules import RuleReading, RuleSettings
from viva_ros.core.detection.thresholds import Threshold
from viva_ros.core.events import Event, Level

S = 1_000_000_000
PLAIN = RuleSettings(
    smoothing=0.0, drop_window=2.0, no_rise_window=2.0, floor_warm_up=2.0, debounce=0.3
)
ALARM = AlarmSettings(cool_down=3.0, margin=0.1, unknown_after=1.0, recovery_rise=0.3)
SETTINGS = DetectorSettings(PLAIN, ALARM)
DROP = {'drop': Threshold(warn=0.2, alarm=0.4)}
NO_RISE = {'no_rise': Threshold(warn=-0.2, alarm=-0.1)}


def series(values: Iterable[float | None], start: float = 10.0) -> list[tuple[int, float | None]]:
    """Return values at 5 Hz."""
    return [(round((start + 0.2 * i) * S), value) for i, value in enumerate(values)]


def run(
    judge: Detector, samples: Iterable[tuple[int, float | None]], episode: str = 'a'
) -> list[Event]:
    return [e for stamp, value in samples for e in judge.update(stamp, value, 'why', episode)]


def brief(events: list[Event]) -> list[tuple[str, str, float]]:
    return [(e.kind, e.level.name, e.stamp / S) for e in events]


def test_when_the_clock_goes_on_and_no_value_comes_it_is_unknown_not_paused() -> None:
    judge = Detector(SETTINGS, DROP)
    run(judge, series([0.1, 0.2]))
    judge.update(11 * S, None, '/clock stands still', 'a', kind='paused')
    assert judge.level == Level.PAUSED
    stamps = [11 * S + tenth * S // 10 for tenth in range(15)]
    events = [e for at in stamps for e in judge.update(at, None, 'no camera', 'a', kind='stale')]
    assert brief(events) == [('unknown', 'UNKNOWN', 12.0)]
    assert judge.level == Level.UNKNOWN


def test_what_was_unknown_before_a_pause_is_said_to_be_unknown_after_it() -> None:
    judge = Detector(SETTINGS, DROP)
    run(judge, series([0.1, *[None] * 8]))  # from 10.2 s on unknown: said at 11.2 s
    judge.update(12 * S, None, '/clock stands still', 'a', kind='paused')
    assert brief(judge.update(13 * S, None, 'no camera', 'a')) == [('unknown', 'UNKNOWN', 13.0)]
    assert judge.level == Level.UNKNOWN
    assert judge.update(13 * S + 1, None, 'no camera', 'a') == []


def test_the_level_is_unknown_until_something_is_heard() -> None:
    judge = Detector(SETTINGS, DROP)
    assert judge.level == Level.UNKNOWN
    assert brief(judge.update(10 * S, 0.1)) == [('episode_start', 'OK', 10.0)]
    assert judge.level == Level.OK


def test_an_episode_that_begins_without_a_value_is_unknown_until_there_is_one() -> None:
    judge = Detector(SETTINGS, DROP)
    (event,) = judge.update(10 * S, None, 'no camera', 'a')
    assert (event.kind, event.level) == ('episode_start', Level.UNKNOWN)
    assert event.text == "watching episode 'a'; value is unknown: no camera"
    assert judge.level == Level.UNKNOWN
    (event,) = run(judge, series([None] * 9, start=10.2))  # by then it is no matter of starting
    assert brief([event]) == [('unknown', 'UNKNOWN', 11.0)] and event.onset == 10 * S
    assert brief(judge.update(13 * S, 0.1, '', 'a')) == [('unknown', 'OK', 13.0)]
    assert brief(judge.update(14 * S, None, '', 'b')) == [('episode_start', 'UNKNOWN', 14.0)]


def test_execution_that_begins_without_a_value_is_unknown() -> None:
    judge = Detector(SETTINGS, DROP)
    run(judge, series([0.9] * 5))
    judge.update(12 * S, None, 'no camera', 'a', executing=False)
    assert brief(judge.update(13 * S, None, 'no camera', 'a')) == [('paused', 'UNKNOWN', 13.0)]
    assert brief(judge.update(14 * S, 0.1, '', 'a')) == [('unknown', 'OK', 14.0)]


def test_value_older_than_the_unknown_attempt_has_no_negative_duration() -> None:
    judge = Detector(SETTINGS, DROP)
    judge.update(10 * S, None, 'no camera', 'a')
    (event,) = judge.update(10 * S - S // 10, 0.1, '', 'a')
    assert event.text == 'value is known again'


def test_a_drop_that_lasts_for_the_debounce_time_alarms_with_its_onset() -> None:
    judge = Detector(SETTINGS, DROP)
    events = run(judge, series([0.6, 0.6, 0.0, 0.0, 0.0]))
    # above .4 from 10.4; held over .3 s at 10.8, since the sample at 10.5 is that of 10.4
    assert brief(events) == [('episode_start', 'OK', 10.0), ('drop', 'ALARM', 10.8)]
    alarm = events[-1]
    assert alarm.onset == round(10.4 * S)
    assert alarm.statistic == pytest.approx(0.6)
    assert alarm.threshold == 0.4
    assert alarm.value == 0.0
    assert alarm.episode_id == 'a'
    assert 'fell by 0.60' in alarm.text
    assert judge.level == Level.ALARM


def test_a_short_dip_does_not_alarm() -> None:
    judge = Detector(SETTINGS, DROP)
    assert len(run(judge, series([0.6, 0.6, 0.0, 0.0, 0.6, 0.6]))) == 1


def test_a_value_that_does_not_rise_alarms_where_a_drop_sees_nothing() -> None:
    judge = Detector(SETTINGS, DROP | NO_RISE)
    events = run(judge, series([-0.5] * 20))
    # 2.0 s fill the window at 12.0; above -.1 from there; held over .3 s at 12.4
    assert brief(events)[1:] == [('no_rise', 'ALARM', 12.4)]
    assert events[-1].onset == 12 * S


def test_between_warn_and_alarm_it_warns_and_clears_below_the_margin() -> None:
    judge = Detector(SETTINGS, DROP)
    values = [0.6] * 3 + [0.3] * 3 + [0.45] * 3 + [0.55] * 3
    events = run(judge, series(values))
    # drop .3 held at 11.0 (onset 10.6); .15 is below .2 but not below .2 - .1; .05 is
    assert brief(events)[1:] == [('drop', 'WARN', 11.0), ('recovered', 'OK', 11.8)]
    assert events[1].onset == round(10.6 * S)
    assert events[1].threshold == 0.2


def test_nothing_alarms_within_the_cool_down_and_windows_are_fresh_after_it() -> None:
    judge = Detector(SETTINGS, NO_RISE)
    events = run(judge, series([-0.5] * 60))
    alarms = [e.stamp / S for e in events if e.level == Level.ALARM]
    # 12.4 + 3.0 cool-down + 2.0 window + .3 debounce: at 17.8 on a grid of .2 from 15.4
    assert alarms == [12.4, 17.8]


def test_rules_rest_in_the_cool_down() -> None:
    judge = Detector(SETTINGS, DROP)
    run(judge, series([0.6, 0.6, 0.0, 0.0, 0.0, 0.0]))
    assert judge.readings == {}
    run(judge, series([0.0], start=13.8))
    assert judge.readings['drop'].statistic == 0.0


def test_an_alarm_lasts_until_the_value_has_risen() -> None:
    judge = Detector(SETTINGS, DROP)
    fallen = [0.6, 0.6, 0.0, 0.0, 0.0, -0.2, 0.0]
    assert run(judge, series(fallen))[-1].level == Level.ALARM
    assert judge.level == Level.ALARM
    events = run(judge, series([0.15], start=11.4))
    assert brief(events) == [('recovered', 'OK', 11.4)]  # -.2 + .3 = .1 is reached
    assert judge.level == Level.OK


def test_an_alarm_ends_when_every_rule_shows_with_fresh_windows_that_it_is_well() -> None:
    patient = replace(ALARM, recovery_rise=2.0)  # so .75 above the lowest, half of the way to 1
    judge = Detector(DetectorSettings(PLAIN, patient), NO_RISE)
    run(judge, series([-0.5] * 13))
    assert judge.level == Level.ALARM
    events = run(judge, series([-0.5 + 0.031 * i for i in range(30)], start=12.6))
    # the cool-down ends at 15.4, the window is full at 17.4: it shows a rise of .31, which is
    # more than .2 + the margin of .1; the rise over the lowest is .744 by then, less than .75
    assert brief(events) == [('recovered', 'OK', 17.4)]


def test_a_low_flat_value_after_a_fall_is_still_an_alarm() -> None:
    judge = Detector(SETTINGS, DROP | NO_RISE)
    events = run(judge, series([0.6, 0.6] + [0.0] * 29))
    assert [e.kind for e in events] == ['episode_start', 'drop']
    assert judge.level == Level.ALARM  # at 16.0; the drop is over, no_rise is not yet held


def test_the_worst_rule_names_the_alarm() -> None:
    judge = Detector(SETTINGS, {'drop': Threshold(0.2, 0.2), 'floor': Threshold(0.2, 0.2)})
    events = run(judge, series([-0.05] * 11 + [-0.7] * 3))
    assert [(e.kind, e.level.name) for e in events][1:] == [
        ('floor', 'ALARM')
    ]  # excess .5 against .45


def test_a_rule_without_a_threshold_never_alarms() -> None:
    judge = Detector(SETTINGS, {})
    assert [e.kind for e in run(judge, series([0.9, 0.9] + [-0.9] * 30))] == ['episode_start']


def test_unknown_values_become_a_level_of_their_own_and_never_an_alarm() -> None:
    judge = Detector(SETTINGS, DROP)
    events = run(judge, series([0.6, 0.6, 0.6] + [None] * 8))
    assert brief(events)[1:] == [('unknown', 'UNKNOWN', 11.6)]  # unknown from 10.6, for 1 s
    assert events[-1].onset == round(10.6 * S)
    assert math.isnan(events[-1].value)
    assert events[-1].text == 'value is unknown: why'
    assert judge.level == Level.UNKNOWN
    events = run(judge, series([0.0], start=12.2))
    assert brief(events) == [('unknown', 'OK', 12.2)]
    assert 'known again after 1.6 s' in events[0].text


def test_a_gap_restarts_the_windows_so_that_a_fall_across_it_is_no_drop() -> None:
    judge = Detector(SETTINGS, DROP)
    run(judge, series([0.9] * 5))
    assert run(judge, series([0.0] * 10, start=12.0)) == []  # 1.2 s after the last


def test_a_gap_restarts_the_smoothing() -> None:
    judge = Detector(DetectorSettings(replace(PLAIN, smoothing=0.4), ALARM), {})
    run(judge, series([0.75] * 5))
    run(judge, series([-0.25], start=12.0))
    assert judge.smoothed == -0.25


def test_a_short_gap_restarts_nothing() -> None:
    judge = Detector(SETTINGS, DROP)
    run(judge, series([0.9] * 5))
    assert [e.kind for e in run(judge, series([0.0] * 4, start=11.6))] == ['drop']


def test_nan_and_none_are_the_same_and_leave_no_trace_in_the_windows() -> None:
    with_unknown, without = Detector(SETTINGS, DROP), Detector(SETTINGS, DROP)
    run(with_unknown, series([0.5, math.nan, 0.4, None, 0.3]))
    run(without, [s for s in series([0.5, math.nan, 0.4, None, 0.3]) if s[1] in (0.5, 0.4, 0.3)])
    assert with_unknown.readings == without.readings


@pytest.mark.parametrize('value', [1.01, -5000.0, math.inf, -math.inf])
def test_a_value_beyond_its_range_is_unknown_and_says_so(value: float) -> None:
    judge = Detector(SETTINGS, DROP)
    run(judge, series([0.5, 0.5]))
    assert judge.known
    events = run(judge, series([value] * 12, start=10.4))
    assert brief(events) == [('unknown', 'UNKNOWN', 11.4)]
    assert f'value is {value:g}, must be in [-1, 1]' in events[0].text
    assert not judge.known and judge.smoothed == 0.5


def test_a_new_episode_starts_afresh() -> None:
    judge = Detector(SETTINGS, DROP)
    run(judge, series([0.9] * 5), 'a')
    events = run(judge, series([0.0] * 5, start=11.0), 'b')
    assert brief(events) == [('episode_start', 'OK', 11.0)]
    assert events[0].episode_id == judge.episode_id == 'b'


def test_a_cool_down_outlives_its_episode_but_rules_watch_the_next_one_at_once() -> None:
    judge = Detector(SETTINGS, DROP)
    run(judge, series([0.6, 0.6, 0.0, 0.0, 0.0]), 'a')  # alarm at 10.8, cool until 13.8
    events = run(judge, series([0.9] * 2 + [0.0] * 4, start=11.0), 'b')
    assert brief(events) == [('episode_start', 'OK', 11.0), ('drop', 'WARN', 11.8)]
    events = run(judge, series([0.9] * 2 + [0.0] * 6, start=13.0), 'b')
    assert brief(events)[-1] == ('drop', 'ALARM', 13.8)


def test_time_that_jumps_back_begins_an_episode() -> None:
    judge = Detector(SETTINGS, DROP)
    run(judge, series([0.6, 0.6, 0.0, 0.0, 0.0]))
    events = run(judge, series([0.9, 0.9, 0.0, 0.0, 0.0], start=2.0))
    assert brief(events) == [('episode_start', 'OK', 2.0), ('drop', 'ALARM', 2.8)]
    assert 'went back' in events[0].text


def test_a_value_that_is_not_newer_is_ignored() -> None:
    judge = Detector(SETTINGS, DROP)
    run(judge, series([0.6, 0.6]))
    assert run(judge, [(round(10.2 * S), -1.0), (round(9.5 * S), -1.0)]) == []
    assert judge.smoothed == pytest.approx(0.6)


def test_a_value_that_is_not_newer_does_not_make_it_known() -> None:
    judge = Detector(SETTINGS, DROP)
    run(judge, series([0.5, None]))
    judge.update(10 * S, 0.5, '', 'a')
    assert not judge.known


def test_an_unknown_attempt_stamped_after_the_next_value_is_no_jump() -> None:
    judge = Detector(SETTINGS, DROP)
    run(judge, series([0.6]))
    assert judge.update(round(10.3 * S), None, 'skew', 'a') == []
    assert judge.update(round(10.2 * S), 0.6, '', 'a') == []
    assert judge.readings['drop'].statistic == 0.0


def test_values_are_rounded_as_the_message_rounds_them() -> None:
    judge = Detector(SETTINGS, {})
    judge.update(S, 0.1)
    assert judge.smoothed == 0.10000000149011612  # 0.1 as float32


def test_thresholds_for_something_else_are_a_mistake() -> None:
    with pytest.raises(ValueError, match='rules are'):
        Detector(SETTINGS, {'dorp': Threshold(0.0, 1.0)})


def test_settings_are_checked_with_their_path() -> None:
    with raises('setting-out-of-range', 'alarm.cool_down', 0.0):
        Detector(DetectorSettings(alarm=AlarmSettings(cool_down=0.0)), {})


def test_a_latch_holds_on_a_statistic_that_is_not_there() -> None:
    latch = Hysteresis(Threshold(0.2, 0.4), margin=0.1)
    latch.reset(Level.ALARM)
    latch.update(0, RuleReading(math.nan, math.nan))
    assert latch.level == Level.ALARM
    latch.update(1, RuleReading(0.25, math.nan))
    assert latch.level == Level.WARN  # below .4 - .1, not below .2 - .1
    latch.update(2, RuleReading(0.05, math.nan))
    assert latch.level == Level.OK


def test_recovery_near_the_top_takes_half_of_the_way_left() -> None:
    recovery = Recovery(rise=0.3)
    assert not recovery.update(0.8)
    assert not recovery.update(0.89)
    assert recovery.update(0.91)  # .8 + (1 - .8) / 2 = .9
    recovery.reset()
    assert recovery.update(1.01)  # nothing is left to rise


def test_a_stopped_clock_is_paused_and_no_fault() -> None:
    judge = Detector(SETTINGS, DROP)
    run(judge, series([0.6] * 3))
    (event,) = judge.update(11 * S, None, '/clock stands still', 'a', kind='paused')
    assert (event.kind, event.level) == ('paused', Level.PAUSED)
    assert judge.level == Level.PAUSED
    assert judge.update(11 * S, None, '/clock stands still', 'a', kind='paused') == []
    (event,) = judge.update(round(11.1 * S), 0.6, '', 'a')
    assert (event.kind, event.level, judge.level) == ('paused', Level.OK, Level.OK)


def test_nothing_is_judged_while_the_robot_does_not_execute() -> None:
    judge = Detector(SETTINGS, DROP)
    run(judge, series([0.9] * 5))
    (event,) = judge.update(11 * S, 0.9, '', 'a', executing=False)
    assert brief([event]) == [('paused', 'PAUSED', 11.0)]
    assert event.text == 'not judged: the robot does not execute the task'
    idle = [judge.update(at, -0.9, '', 'a', executing=False) for at, _ in series([0] * 20, 11.2)]
    assert not any(idle) and judge.level == Level.PAUSED
    events = run(judge, series([-0.9] * 10, start=15.2))
    assert brief(events) == [('paused', 'OK', 15.2)]  # what was before is no drop


def test_nothing_is_judged_outside_of_an_episode() -> None:
    judge = Detector(SETTINGS, DROP | NO_RISE)
    (event,) = judge.update(10 * S, 0.9, executing=False)
    assert (event.kind, event.level) == ('paused', Level.PAUSED)
    assert event.text == 'not judged: no episode is under way'
    idle = [judge.update(at, -0.9, executing=False) for at, _ in series([0] * 30, 10.2)]
    assert not any(idle)
    assert brief(judge.update(20 * S, -0.9, '', 'a')) == [('episode_start', 'OK', 20.0)]
    assert brief(judge.update(21 * S, 0.9, executing=False)) == [('paused', 'PAUSED', 21.0)]


def test_execution_that_begins_ends_the_alarm_and_rests_for_its_cool_down() -> None:
    judge = Detector(SETTINGS, DROP)
    run(judge, series([0.6, 0.6, 0.0, 0.0, 0.0]))  # alarm at 10.8, cool until 13.8
    judge.update(11 * S, 0.0, '', 'a', executing=False)
    assert brief(judge.update(12 * S, 0.0, '', 'a')) == [('paused', 'OK', 12.0)]
    run(judge, series([0.9] * 2, start=13.0))
    assert judge.readings == {}  # the robot comes from elsewhere than any episode began
    events = run(judge, series([0.9] * 2 + [0.0] * 6, start=13.8))
    assert brief(events)[-1] == ('drop', 'ALARM', 14.6)


def test_latched_alarm_is_acknowledged_while_a_warning_is_on() -> None:
    judge = Detector(DetectorSettings(PLAIN, replace(ALARM, latch=True)), DROP)
    judge.latch()  # of an earlier process
    assert judge.latched
    run(judge, series([0.6] * 3 + [0.3] * 3))
    assert judge.level == Level.WARN
    (event,) = judge.acknowledge(13 * S)
    assert event.kind == 'acknowledged' and not judge.latched


def test_latched_alarm_shows_while_nothing_is_judged() -> None:
    judge = Detector(DetectorSettings(PLAIN, replace(ALARM, latch=True)), DROP)
    run(judge, series([0.6, 0.6, 0.0, 0.0, 0.0]))
    judge.update(12 * S, 0.0, executing=False)
    assert judge.level == Level.LATCHED


def test_other_thresholds_keep_the_cool_down() -> None:
    judge = Detector(SETTINGS, DROP)
    run(judge, series([0.6, 0.6, 0.0, 0.0, 0.0]))  # cool until 13.8
    judge.set_thresholds({'drop': Threshold(0.1, 0.2)}, alpha=0.05)
    events = run(judge, series([0.9] * 2 + [0.6] * 9, start=12.0), 'b')
    assert brief(events)[-1] == ('drop', 'ALARM', 13.8)
    assert events[-1].alpha == 0.05


def test_an_alarm_that_is_over_stays_latched_until_somebody_acknowledges_it() -> None:
    judge = Detector(DetectorSettings(PLAIN, replace(ALARM, latch=True)), DROP)
    events = run(judge, series([0.6, 0.6, 0.0, 0.0, 0.0, 0.0, 0.2, 0.4, 0.6]))
    assert brief(events)[-1] == ('recovered', 'LATCHED', 11.4)  # .3 above the lowest, 0
    run(judge, series([0.6], start=12.0), 'b')
    assert judge.level == Level.LATCHED  # another episode does not acknowledge
    (event,) = judge.acknowledge(13 * S)
    assert (event.kind, event.level) == ('acknowledged', Level.OK)
    assert judge.acknowledge(13 * S) == []


def test_a_warning_lasts_for_the_dwell_time() -> None:
    judge = Detector(DetectorSettings(PLAIN, replace(ALARM, dwell=1.0)), DROP)
    events = run(judge, series([0.6] * 3 + [0.3] * 3 + [0.6] * 8))
    # warned at 11.0; well from 11.2 on, but 1 s must be over
    assert brief(events)[1:] == [('drop', 'WARN', 11.0), ('recovered', 'OK', 12.0)]


def test_of_the_values_within_the_debounce_a_share_may_be_enough() -> None:
    loose = DetectorSettings(replace(PLAIN, debounce=0.8, agreement=0.6), ALARM)
    # drops over .9 s or 5 samples: 0 .6 .6 0 .6: three of five are above, .6 * 5 = 3 must be
    values = [0.6, 0.6, 0.0, 0.0, 0.6, 0.0]
    assert [e.kind for e in run(Detector(loose, DROP), series(values))][1:] == ['drop']
    strict = DetectorSettings(replace(PLAIN, debounce=0.8), ALARM)
    assert run(Detector(strict, DROP), series(values))[1:] == []


def test_with_and_a_value_rule_and_another_must_cross() -> None:
    thresholds = DROP | {'forecast_residual': Threshold(1.0, 2.0)}
    either, both = (
        Alarm(ALARM, thresholds, how).update(0, 0.0, {
            'drop': RuleReading(0.5, 0.5), 'forecast_residual': RuleReading(1.5, 1.5),
        })
        for how in ('or', 'and')
    )  # fmt: skip
    assert [change.kind for change in either] == ['drop']
    assert [change.level for change in both] == [Level.WARN]  # both warn, one alarms
    (change,) = Alarm(ALARM, thresholds, 'and').update(0, 0.0, {
        'drop': RuleReading(0.5, 0.5), 'forecast_residual': RuleReading(2.5, 2.5),
    })  # fmt: skip
    assert change.level == Level.ALARM


def test_an_alarm_shows_what_led_to_it() -> None:
    judge = Detector(SETTINGS, DROP, alpha=0.05)
    alarm = run(judge, series([0.6, 0.6, 0.0, 0.0, 0.0]))[-1]
    assert alarm.alpha == 0.05
    stamps, values, statistics = zip(*alarm.window, strict=True)
    assert stamps == tuple(stamp for stamp, _ in series([0] * 5))
    assert values == pytest.approx((0.6, 0.6, 0.0, 0.0, 0.0))
    assert statistics == pytest.approx((0.0, 0.0, 0.6, 0.6, 0.6))
