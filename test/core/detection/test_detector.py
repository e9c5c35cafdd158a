# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import math
from collections.abc import Iterable
from dataclasses import replace

import pytest
from support.errors import raises

from viva_ros.core.detection.alarm import Alarm, AlarmSettings, Hysteresis, Recovery
from viva_ros.core.detection.detector import Detector, DetectorSettings
from viva_ros.core.detection.rules import Details, RuleReading, RuleSettings
from viva_ros.core.detection.thresholds import Threshold
from viva_ros.core.events import Event, Level

S = 1_000_000_000
PLAIN = RuleSettings(
    smoothing=0.0, drop_window=2.0, no_rise_window=2.0, floor_warm_up=2.0, debounce=0.3
)
ALARM = AlarmSettings(cool_down=3.0, hysteresis=0.1, unknown_after=1.0, recovery_rise=0.3)
SETTINGS = DetectorSettings(PLAIN, ALARM)
DROP = {'drop': Threshold(warn=0.2, alarm=0.4)}
NO_RISE = {'no_rise': Threshold(warn=-0.2, alarm=-0.1)}


def series(values: Iterable[float | None], start: float = 10.0) -> list[tuple[int, float | None]]:
    """Return values at 5 Hz."""
    return [(round((start + 0.2 * i) * S), value) for i, value in enumerate(values)]


def run(
    detector: Detector, samples: Iterable[tuple[int, float | None]], episode: str = 'a'
) -> list[Event]:
    return [e for stamp, value in samples for e in detector.update(stamp, value, 'why', episode)]


def brief(events: list[Event]) -> list[tuple[str, str, float]]:
    return [(e.kind, e.level.name, e.stamp / S) for e in events]


def test_clock_resumes_without_values_is_unknown_not_paused() -> None:
    detector = Detector(SETTINGS, DROP)
    run(detector, series([0.1, 0.2]))
    detector.update(11 * S, None, '/clock stands still', 'a', kind='paused')
    assert detector.level == Level.PAUSED
    events = []
    for tenth in range(15):
        events += detector.update(11 * S + tenth * S // 10, None, 'no camera', 'a', kind='stale')
        assert detector.level == Level.UNKNOWN
    assert brief(events) == [('unknown', 'UNKNOWN', 12.0)]


def test_unknown_value_after_lost_values_keeps_level_unknown() -> None:
    detector = Detector(SETTINGS, DROP)
    run(detector, series([0.1, 0.2]))
    assert detector.level == Level.OK
    detector.lose_values()
    assert detector.level == Level.UNKNOWN
    assert detector.update(15 * S, None, 'no camera', 'a') == []
    assert detector.level == Level.UNKNOWN
    assert detector.update(15 * S + S // 5, 0.2, '', 'a') == []
    assert detector.level == Level.OK


def test_unknown_before_a_pause_is_reported_again_after_it() -> None:
    detector = Detector(SETTINGS, DROP)
    run(detector, series([0.1, *[None] * 8]))  # unknown from 10.2 s, reported at 11.2 s
    detector.update(12 * S, None, '/clock stands still', 'a', kind='paused')
    assert brief(detector.update(13 * S, None, 'no camera', 'a')) == [('unknown', 'UNKNOWN', 13.0)]
    assert detector.level == Level.UNKNOWN
    assert detector.update(13 * S + 1, None, 'no camera', 'a') == []


def test_level_is_unknown_until_the_first_update() -> None:
    detector = Detector(SETTINGS, DROP)
    assert detector.level == Level.UNKNOWN
    assert brief(detector.update(10 * S, 0.1)) == [('episode_start', 'OK', 10.0)]
    assert detector.level == Level.OK


def test_episode_starting_without_value_is_unknown() -> None:
    detector = Detector(SETTINGS, DROP)
    (event,) = detector.update(10 * S, None, 'no camera', 'a')
    assert (event.kind, event.level) == ('episode_start', Level.UNKNOWN)
    assert event.text == "watching episode 'a'; value is unknown: no camera"
    assert detector.level == Level.UNKNOWN
    (event,) = run(detector, series([None] * 9, start=10.2))  # a second after the start
    assert brief([event]) == [('unknown', 'UNKNOWN', 11.0)] and event.onset == 10 * S
    assert brief(detector.update(13 * S, 0.1, '', 'a')) == [('unknown', 'OK', 13.0)]
    assert brief(detector.update(14 * S, None, '', 'b')) == [('episode_start', 'UNKNOWN', 14.0)]


def test_execution_starting_without_value_is_unknown() -> None:
    detector = Detector(SETTINGS, DROP)
    run(detector, series([0.9] * 5))
    detector.update(12 * S, None, 'no camera', 'a', executing=False)
    assert brief(detector.update(13 * S, None, 'no camera', 'a')) == [('paused', 'UNKNOWN', 13.0)]
    assert brief(detector.update(14 * S, 0.1, '', 'a')) == [('unknown', 'OK', 14.0)]


def test_value_older_than_unknown_attempt_has_no_duration() -> None:
    detector = Detector(SETTINGS, DROP)
    detector.update(10 * S, None, 'no camera', 'a')
    (event,) = detector.update(10 * S - S // 10, 0.1, '', 'a')
    assert event.text == 'value is known again'


def test_drop_for_the_debounce_time_alarms_with_onset() -> None:
    detector = Detector(SETTINGS, DROP)
    events = run(detector, series([0.6, 0.6, 0.0, 0.0, 0.0]))
    # above .4 from 10.4; held for .3 s at 10.8, because the sample of 10.4 is in force at 10.5
    assert brief(events) == [('episode_start', 'OK', 10.0), ('drop', 'ALARM', 10.8)]
    alarm = events[-1]
    assert alarm.onset == round(10.4 * S)
    assert alarm.statistic == pytest.approx(0.6)
    assert alarm.threshold == 0.4
    assert alarm.value == 0.0
    assert alarm.episode_id == 'a'
    assert 'fell by 0.60' in alarm.text
    assert detector.level == Level.ALARM


def test_drop_shorter_than_debounce_does_not_alarm() -> None:
    detector = Detector(SETTINGS, DROP)
    assert len(run(detector, series([0.6, 0.6, 0.0, 0.0, 0.6, 0.6]))) == 1


def test_no_rise_alarms_without_a_drop() -> None:
    detector = Detector(SETTINGS, DROP | NO_RISE)
    events = run(detector, series([-0.5] * 20))
    # 2.0 s fill the window at 12.0; above -.1 from there; held over .3 s at 12.4
    assert brief(events)[1:] == [('no_rise', 'ALARM', 12.4)]
    assert events[-1].onset == 12 * S


def test_warning_clears_below_the_margin() -> None:
    detector = Detector(SETTINGS, DROP)
    values = [0.6] * 3 + [0.3] * 3 + [0.45] * 3 + [0.55] * 3
    events = run(detector, series(values))
    # drop .3 held at 11.0 (onset 10.6); .15 is below .2 but not below .2 - .1; .05 is
    assert brief(events)[1:] == [('drop', 'WARN', 11.0), ('recovered', 'OK', 11.8)]
    assert events[1].onset == round(10.6 * S)
    assert events[1].threshold == 0.2


def test_alarm_repeats_after_cool_down_with_fresh_windows() -> None:
    detector = Detector(SETTINGS, NO_RISE)
    events = run(detector, series([-0.5] * 60))
    alarms = [e.stamp / S for e in events if e.level == Level.ALARM]
    # 12.4 + 3.0 cool-down + 2.0 window + .3 debounce: at 17.8 on a grid of .2 from 15.4
    assert alarms == [12.4, 17.8]


def test_rules_pause_in_the_cool_down() -> None:
    detector = Detector(SETTINGS, DROP)
    run(detector, series([0.6, 0.6, 0.0, 0.0, 0.0, 0.0]))
    assert detector.readings == {}
    run(detector, series([0.0], start=13.8))
    assert detector.readings['drop'].statistic == 0.0


def test_alarm_lasts_until_the_value_has_risen() -> None:
    detector = Detector(SETTINGS, DROP)
    fallen = [0.6, 0.6, 0.0, 0.0, 0.0, -0.2, 0.0]
    assert run(detector, series(fallen))[-1].level == Level.ALARM
    assert detector.level == Level.ALARM
    events = run(detector, series([0.15], start=11.4))
    assert brief(events) == [('recovered', 'OK', 11.4)]  # -.2 + .3 = .1 is reached
    assert detector.level == Level.OK


def test_alarm_ends_when_all_rules_clear_after_cool_down() -> None:
    alarm = replace(ALARM, recovery_rise=2.0)  # so .75 above the lowest: half of the distance to 1
    detector = Detector(DetectorSettings(PLAIN, alarm), NO_RISE)
    run(detector, series([-0.5] * 13))
    assert detector.level == Level.ALARM
    events = run(detector, series([-0.5 + 0.031 * i for i in range(30)], start=12.6))
    # the cool-down ends at 15.4, the window is full at 17.4: its rise is .31, which is
    # more than .2 + the margin of .1; the rise over the lowest is .744 by then, less than .75
    assert brief(events) == [('recovered', 'OK', 17.4)]


def test_low_flat_value_after_a_drop_keeps_the_alarm() -> None:
    detector = Detector(SETTINGS, DROP | NO_RISE)
    events = run(detector, series([0.6, 0.6] + [0.0] * 29))
    assert [e.kind for e in events] == ['episode_start', 'drop']
    assert detector.level == Level.ALARM  # at 16.0 the drop is over, and no_rise is not held yet


def test_alarm_names_the_rule_with_the_largest_excess() -> None:
    detector = Detector(SETTINGS, {'drop': Threshold(0.2, 0.2), 'floor': Threshold(0.2, 0.2)})
    events = run(detector, series([-0.05] * 11 + [-0.7] * 3))
    assert [(e.kind, e.level.name) for e in events][1:] == [
        ('floor', 'ALARM')
    ]  # excess .5 against .45


def test_rule_without_a_threshold_never_alarms() -> None:
    detector = Detector(SETTINGS, {})
    assert [e.kind for e in run(detector, series([0.9, 0.9] + [-0.9] * 30))] == ['episode_start']


def test_lasting_unknown_values_set_level_unknown() -> None:
    detector = Detector(SETTINGS, DROP)
    events = run(detector, series([0.6, 0.6, 0.6] + [None] * 8))
    assert brief(events)[1:] == [('unknown', 'UNKNOWN', 11.6)]  # unknown from 10.6, for 1 s
    assert events[-1].onset == round(10.6 * S)
    assert math.isnan(events[-1].value)
    assert events[-1].text == 'value is unknown: why'
    assert detector.level == Level.UNKNOWN
    events = run(detector, series([0.0], start=12.2))
    assert brief(events) == [('unknown', 'OK', 12.2)]
    assert 'known again after 1.6 s' in events[0].text


def test_gap_restarts_the_windows() -> None:
    detector = Detector(SETTINGS, DROP)
    run(detector, series([0.9] * 5))
    assert run(detector, series([0.0] * 10, start=12.0)) == []  # 1.2 s after the last


def test_gap_restarts_the_smoothing() -> None:
    detector = Detector(DetectorSettings(replace(PLAIN, smoothing=0.4), ALARM), {})
    run(detector, series([0.75] * 5))
    run(detector, series([-0.25], start=12.0))
    assert detector.smoothed == -0.25


def test_restarted_windows_hide_the_values_of_another_source() -> None:
    detector = Detector(DetectorSettings(replace(PLAIN, smoothing=0.4), ALARM), DROP)
    run(detector, series([0.9] * 5))
    detector.restart_windows()
    assert run(detector, series([0.0] * 10, start=11.0)) == []
    assert detector.level == Level.OK and detector.smoothed == 0.0


def test_short_gap_restarts_nothing() -> None:
    detector = Detector(SETTINGS, DROP)
    run(detector, series([0.9] * 5))
    assert [e.kind for e in run(detector, series([0.0] * 4, start=11.6))] == ['drop']


def test_nan_and_none_do_not_enter_the_windows() -> None:
    with_unknown, without = Detector(SETTINGS, DROP), Detector(SETTINGS, DROP)
    run(with_unknown, series([0.5, math.nan, 0.4, None, 0.3]))
    run(without, [s for s in series([0.5, math.nan, 0.4, None, 0.3]) if s[1] in (0.5, 0.4, 0.3)])
    assert with_unknown.readings == without.readings


@pytest.mark.parametrize('value', [1.01, -5000.0, math.inf, -math.inf])
def test_value_out_of_range_is_unknown_with_reason(value: float) -> None:
    detector = Detector(SETTINGS, DROP)
    run(detector, series([0.5, 0.5]))
    assert detector.known
    events = run(detector, series([value] * 12, start=10.4))
    assert brief(events) == [('unknown', 'UNKNOWN', 11.4)]
    assert f'value is {value:g}, must be in [-1, 1]' in events[0].text
    assert not detector.known and detector.smoothed == 0.5


@pytest.mark.parametrize('share', [-5.0, 1.1, math.inf, -math.inf, 3e38])
@pytest.mark.parametrize('name', ['success', 'progress'])
def test_value_with_a_share_out_of_range_is_unknown_and_raises_no_alarm(
    name: str, share: float
) -> None:
    """A probability of success of -5 would be far below any floor."""
    detector = Detector(SETTINGS, {'floor': Threshold(-0.3, -0.1)})
    events = [
        event for stamp, value in series([0.9] * 30)
        for event in detector.update(stamp, value, '', 'a', Details(**{name: share}))
    ]  # fmt: skip
    assert {event.level for event in events} == {Level.UNKNOWN}
    assert 'must be in [0, 1]' in events[0].text and detector.level == Level.UNKNOWN


def test_new_episode_resets_the_rules() -> None:
    detector = Detector(SETTINGS, DROP)
    run(detector, series([0.9] * 5), 'a')
    events = run(detector, series([0.0] * 5, start=11.0), 'b')
    assert brief(events) == [('episode_start', 'OK', 11.0)]
    assert events[0].episode_id == detector.episode_id == 'b'


def test_cool_down_continues_in_the_next_episode() -> None:
    detector = Detector(SETTINGS, DROP)
    run(detector, series([0.6, 0.6, 0.0, 0.0, 0.0]), 'a')  # alarm at 10.8, cool until 13.8
    events = run(detector, series([0.9] * 2 + [0.0] * 4, start=11.0), 'b')
    assert brief(events) == [('episode_start', 'OK', 11.0), ('drop', 'WARN', 11.8)]
    events = run(detector, series([0.9] * 2 + [0.0] * 6, start=13.0), 'b')
    assert brief(events)[-1] == ('drop', 'ALARM', 13.8)


def test_time_jump_back_begins_an_episode() -> None:
    detector = Detector(SETTINGS, DROP)
    run(detector, series([0.6, 0.6, 0.0, 0.0, 0.0]))
    events = run(detector, series([0.9, 0.9, 0.0, 0.0, 0.0], start=2.0))
    assert brief(events) == [('episode_start', 'OK', 2.0), ('drop', 'ALARM', 2.8)]
    assert 'went back' in events[0].text


def test_value_that_is_not_newer_is_ignored() -> None:
    detector = Detector(SETTINGS, DROP)
    run(detector, series([0.6, 0.6]))
    assert run(detector, [(round(10.2 * S), -1.0), (round(9.5 * S), -1.0)]) == []
    assert detector.smoothed == pytest.approx(0.6)


def test_value_that_is_not_newer_keeps_unknown() -> None:
    detector = Detector(SETTINGS, DROP)
    run(detector, series([0.5, None]))
    detector.update(10 * S, 0.5, '', 'a')
    assert not detector.known


def test_unknown_stamped_after_next_value_is_no_time_jump() -> None:
    detector = Detector(SETTINGS, DROP)
    run(detector, series([0.6]))
    assert detector.update(round(10.3 * S), None, 'skew', 'a') == []
    assert detector.update(round(10.2 * S), 0.6, '', 'a') == []
    assert detector.readings['drop'].statistic == 0.0


def test_late_value_after_attempts_is_no_time_jump() -> None:
    """The engine hangs for 3 s: the attempts are newer than the inputs of its next value."""
    detector = Detector(SETTINGS, DROP)
    run(detector, series([0.6]))
    for late in (1.0, 2.0, 3.0):
        detector.update(round((10.2 + late) * S), None, 'hangs', 'a')
    events = detector.update(round(10.2 * S), 0.0, '', 'a')
    assert [event.kind for event in events] == ['unknown'] and detector.level == Level.OK
    assert detector.readings['drop'].statistic > 0.0, 'the value before is remembered'
    events = run(detector, series([0.0] * 4, start=10.4))
    assert [event.kind for event in events] == ['drop']


def test_attempts_after_the_clock_went_back_begin_an_episode() -> None:
    detector = Detector(SETTINGS, DROP)
    run(detector, series([0.6, None]))
    events = detector.update(5 * S, None, 'no input', 'a')
    assert [event.kind for event in events] == ['episode_start'] and 'went back' in events[0].text
    assert run(detector, series([0.6], start=5.1))[0].kind == 'unknown', 'no second start'


def test_values_are_rounded_to_float32() -> None:
    detector = Detector(SETTINGS, {})
    detector.update(S, 0.1)
    assert detector.smoothed == 0.10000000149011612  # 0.1 as float32


def test_threshold_of_an_unknown_rule_raises_value_error() -> None:
    with pytest.raises(ValueError, match='rules are'):
        Detector(SETTINGS, {'dorp': Threshold(0.0, 1.0)})


def test_invalid_detector_setting_is_refused_with_path() -> None:
    with raises('setting-out-of-range', 'alarm.cool_down', 0.0):
        Detector(DetectorSettings(alarm=AlarmSettings(cool_down=0.0)), {})


def test_missing_statistic_keeps_the_level() -> None:
    hysteresis = Hysteresis(Threshold(0.2, 0.4), margin=0.1)
    hysteresis.reset(Level.ALARM)
    hysteresis.update(0, RuleReading(math.nan, math.nan))
    assert hysteresis.level == Level.ALARM
    hysteresis.update(1, RuleReading(0.25, math.nan))
    assert hysteresis.level == Level.WARN  # below .4 - .1, not below .2 - .1
    hysteresis.update(2, RuleReading(0.05, math.nan))
    assert hysteresis.level == Level.OK


def test_recovery_near_1_needs_half_of_the_distance() -> None:
    recovery = Recovery(rise=0.3)
    assert not recovery.update(0.8)
    assert not recovery.update(0.89)
    assert recovery.update(0.91)  # .8 + (1 - .8) / 2 = .9
    recovery.reset()
    assert recovery.update(1.01)  # the value cannot rise further


def test_stopped_clock_is_paused() -> None:
    detector = Detector(SETTINGS, DROP)
    run(detector, series([0.6] * 3))
    (event,) = detector.update(11 * S, None, '/clock stands still', 'a', kind='paused')
    assert (event.kind, event.level) == ('paused', Level.PAUSED)
    assert detector.level == Level.PAUSED
    assert detector.update(11 * S, None, '/clock stands still', 'a', kind='paused') == []
    (event,) = detector.update(round(11.1 * S), 0.6, '', 'a')
    assert (event.kind, event.level, detector.level) == ('paused', Level.OK, Level.OK)


def test_values_are_not_judged_without_execution() -> None:
    detector = Detector(SETTINGS, DROP)
    run(detector, series([0.9] * 5))
    (event,) = detector.update(11 * S, 0.9, '', 'a', executing=False)
    assert brief([event]) == [('paused', 'PAUSED', 11.0)]
    assert event.text == 'not judged: the robot does not execute the task'
    idle = [
        detector.update(at, -0.9, '', 'a', executing=False) for at, _ in series([0] * 20, 11.2)
    ]
    assert not any(idle) and detector.level == Level.PAUSED
    events = run(detector, series([-0.9] * 10, start=15.2))
    assert brief(events) == [('paused', 'OK', 15.2)]  # earlier values are not in the window


def test_values_are_not_judged_outside_of_an_episode() -> None:
    detector = Detector(SETTINGS, DROP | NO_RISE)
    (event,) = detector.update(10 * S, 0.9, executing=False)
    assert (event.kind, event.level) == ('paused', Level.PAUSED)
    assert event.text == 'not judged: no episode is under way'
    idle = [detector.update(at, -0.9, executing=False) for at, _ in series([0] * 30, 10.2)]
    assert not any(idle)
    assert brief(detector.update(20 * S, -0.9, '', 'a')) == [('episode_start', 'OK', 20.0)]
    assert brief(detector.update(21 * S, 0.9, executing=False)) == [('paused', 'PAUSED', 21.0)]


def test_start_of_execution_ends_alarm_and_keeps_cool_down() -> None:
    detector = Detector(SETTINGS, DROP)
    run(detector, series([0.6, 0.6, 0.0, 0.0, 0.0]))  # alarm at 10.8, cool until 13.8
    detector.update(11 * S, 0.0, '', 'a', executing=False)
    assert brief(detector.update(12 * S, 0.0, '', 'a')) == [('paused', 'OK', 12.0)]
    run(detector, series([0.9] * 2, start=13.0))
    assert detector.readings == {}  # the robot is in an unknown state
    events = run(detector, series([0.9] * 2 + [0.0] * 6, start=13.8))
    assert brief(events)[-1] == ('drop', 'ALARM', 14.6)


def test_latched_alarm_is_acknowledged_during_a_warning() -> None:
    detector = Detector(DetectorSettings(PLAIN, replace(ALARM, latch=True)), DROP)
    detector.latch()  # of an earlier process
    assert detector.latched
    run(detector, series([0.6] * 3 + [0.3] * 3))
    assert detector.level == Level.WARN
    (event,) = detector.acknowledge(13 * S)
    assert event.kind == 'acknowledged' and not detector.latched


def test_level_is_latched_without_execution() -> None:
    detector = Detector(DetectorSettings(PLAIN, replace(ALARM, latch=True)), DROP)
    run(detector, series([0.6, 0.6, 0.0, 0.0, 0.0]))
    detector.update(12 * S, 0.0, executing=False)
    assert detector.level == Level.LATCHED


def test_new_thresholds_keep_the_cool_down() -> None:
    detector = Detector(SETTINGS, DROP)
    run(detector, series([0.6, 0.6, 0.0, 0.0, 0.0]))  # cool until 13.8
    detector.set_thresholds({'drop': Threshold(0.1, 0.2)}, alpha=0.05)
    events = run(detector, series([0.9] * 2 + [0.6] * 9, start=12.0), 'b')
    assert brief(events)[-1] == ('drop', 'ALARM', 13.8)
    assert events[-1].alpha == 0.05


def test_ended_alarm_stays_latched_until_acknowledged() -> None:
    detector = Detector(DetectorSettings(PLAIN, replace(ALARM, latch=True)), DROP)
    events = run(detector, series([0.6, 0.6, 0.0, 0.0, 0.0, 0.0, 0.2, 0.4, 0.6]))
    assert brief(events)[-1] == ('recovered', 'LATCHED', 11.4)  # .3 above the lowest, 0
    run(detector, series([0.6], start=12.0), 'b')
    assert detector.level == Level.LATCHED  # another episode does not acknowledge
    (event,) = detector.acknowledge(13 * S)
    assert (event.kind, event.level) == ('acknowledged', Level.OK)
    assert detector.acknowledge(13 * S) == []


def test_warning_lasts_for_the_dwell_time() -> None:
    detector = Detector(DetectorSettings(PLAIN, replace(ALARM, dwell=1.0)), DROP)
    events = run(detector, series([0.6] * 3 + [0.3] * 3 + [0.6] * 8))
    # warned at 11.0; below the threshold from 11.2, but the dwell time is 1 s
    assert brief(events)[1:] == [('drop', 'WARN', 11.0), ('recovered', 'OK', 12.0)]


def test_agreement_lets_a_share_of_the_debounce_suffice() -> None:
    loose = DetectorSettings(replace(PLAIN, debounce=0.8, agreement=0.6), ALARM)
    # drops over .9 s or 5 samples: 0 .6 .6 0 .6: three of five are above, .6 * 5 = 3 must be
    values = [0.6, 0.6, 0.0, 0.0, 0.6, 0.0]
    assert [e.kind for e in run(Detector(loose, DROP), series(values))][1:] == ['drop']
    strict = DetectorSettings(replace(PLAIN, debounce=0.8), ALARM)
    assert run(Detector(strict, DROP), series(values))[1:] == []


def test_combine_and_needs_a_value_rule_and_another() -> None:
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


def test_alarm_has_its_window_and_alpha() -> None:
    detector = Detector(SETTINGS, DROP, alpha=0.05)
    alarm = run(detector, series([0.6, 0.6, 0.0, 0.0, 0.0]))[-1]
    assert alarm.alpha == 0.05
    stamps, values, statistics = zip(*alarm.window, strict=True)
    assert stamps == tuple(stamp for stamp, _ in series([0] * 5))
    assert values == pytest.approx((0.6, 0.6, 0.0, 0.0, 0.0))
    assert statistics == pytest.approx((0.0, 0.0, 0.6, 0.6, 0.6))
