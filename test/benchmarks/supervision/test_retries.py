# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Gain of alerts and retries, calculated by hand, with a synthetic robot."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.supervision import retries, tables
from benchmarks.supervision.detectors import Watched, cost, thresholds, watch, watchers
from benchmarks.supervision.episodes import Case
from benchmarks.supervision.metrics import measures, share
from benchmarks.supervision.retries import (
    Ending,
    Try,
    at_end,
    at_random,
    ours,
    play,
    play_all,
    worth,
)
from viva_ros.core.detection.thresholds import Calibration
from viva_ros.core.events import Event, Level
from viva_ros.data.episode import Label
from viva_ros.scoring.series import ValueSeries
from viva_ros.sim.recording import RecordJob

S = 1_000_000_000
BEGIN = 5 * S


def series(values: list[float]) -> ValueSeries:
    stamps = BEGIN + np.arange(len(values), dtype=np.int64) * (S // 10)
    return ValueSeries(stamps, np.array(values))


def case(
    number: int, values: list[float], success: bool = True, mode: str = 'none', **times: float
) -> Case:
    label = Label('tray_lift', success, mode, None, times)
    path = Path(f'tray_lift/episode_{number:06d}.mcap')
    return Case(path, series(values), label, BEGIN, len(values) / 10)


def alarm(at: float) -> Event:
    stamp = BEGIN + round(at * S)
    return Event(Level.ALARM, 'drop', stamp, stamp, 0.0, 0.5, 0.2, '', 'fell')


def watched(number: int, *alarms: float, success: bool = True, **more) -> Watched:
    one = case(number, [0.0] * 100, success, **more)
    return Watched(one, tuple(alarm(at) for at in alarms))


def rising(generator: np.random.Generator) -> list[float]:
    noise = generator.normal(0.0, generator.uniform(0.01, 0.05), 100)
    return list(np.linspace(-0.3, 0.95, 100) + noise)


def test_share_has_exact_clopper_pearson_interval() -> None:
    found = share(3, 40)
    assert (found['low'], found['high']) == pytest.approx((0.0157, 0.2039), abs=1e-4)
    assert (share(0, 5)['low'], share(5, 5)['high']) == (0.0, 1.0)
    assert np.isnan(share(0, 0)['share'])


class Robot:
    """Robot that fails at 3 s, if set; a retry after that succeeds."""

    def __init__(self, job: RecordJob) -> None:
        self.time, self.mended, self.fails = 0.0, False, job.failure != 'none'
        self.tried: list[float] = []

    @property
    def done(self) -> bool:
        return self.time >= 10.0

    def step(self) -> None:
        self.time = round(self.time + 0.02, 9)

    def retry(self) -> bool:
        self.tried.append(self.time)
        self.mended = self.time >= 3.0  # an earlier retry is followed by the failure
        return True

    def truth(self):
        return type('Truth', (), {'success': not self.fails or self.mended})()

    def close(self) -> None:
        pass


def test_episode_is_simulated_with_its_retry_to_the_end() -> None:
    made: list[Robot] = []

    def robot(job: RecordJob) -> Robot:
        made.append(Robot(job))
        return made[-1]

    assert play(Try('tray_lift', 1, 'slip', 4.0), robot) == (True, 10.0)
    assert made[0].tried == [4.0]
    assert not play(Try('tray_lift', 1, 'slip', 2.0), robot).success
    assert not play(Try('tray_lift', 1, 'slip', 11.0), robot).success  # after the end
    assert made[2].tried == []


def test_retry_at_the_end_follows_failures_only() -> None:
    made: list[Robot] = []

    def robot(job: RecordJob) -> Robot:
        made.append(Robot(job))
        return made[-1]

    assert play(Try('tray_lift', 1, 'slip', math.inf), robot) == (True, 10.0)
    assert play(Try('tray_lift', 1, 'none', math.inf), robot) == (True, 10.0)
    assert [one.tried for one in made] == [[10.0], []]
    rows = [watched(1, 4.0, success=False, mode='slip'), watched(2, 3.0)]
    assert at_end(rows) == [Try('tray_lift', 1, 'slip', math.inf), None]


def test_known_retry_outcome_is_not_simulated_again(tmp_path: Path) -> None:
    played: list[str] = []

    def players(_: Callable, waiting) -> list[Ending]:
        played.extend(one.key for one in waiting)
        return [Ending(True, 9.5) for _ in waiting]

    tries = [Try('tray_lift', 1, 'slip', 4.0), Try('tray_lift', 2, 'slip', 4.0)]
    known = tmp_path / 'retries.json'
    play_all(tries[:1], known, players)
    assert play_all(tries, known, players) == {one.key: (True, 9.5) for one in tries}
    assert played == [one.key for one in tries]
    assert set(json.loads(known.read_text())) == {one.key for one in tries}


def test_random_baseline_has_as_many_retries_as_alarms() -> None:
    rows = [watched(1, 4.0, 9.0, mode='slip', success=False), watched(2), watched(3, 5.0)]
    first, none, third = ours(rows)
    assert first == Try('tray_lift', 1, 'slip', 4.1)  # 0.1 s later
    assert none is None and third == Try('tray_lift', 3, 'none', 5.1)
    for seed in range(20):
        drawn = [one for one in at_random(rows, 2, seed) if one is not None]
        assert len(drawn) == 2
        assert all(0.0 <= one.at <= 10.0 for one in drawn)
    assert at_random(rows, 2, 1) == at_random(rows, 2, 1) != at_random(rows, 2, 2)


def test_gain_of_retries_counts_all_episodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [watched(n, 4.0, success=False, mode='slip', inject=2.0) for n in range(4)]
    rows += [watched(n) for n in range(4, 10)]

    def players(_: Callable, waiting) -> list[Ending]:
        return [play(one, Robot) for one in waiting]

    monkeypatch.setattr(retries, 'DRAWS', 1)
    late = [replace(one, alarms=(alarm(9.0),) if n < 2 else ()) for n, one in enumerate(rows)]
    found = worth(rows, late, tmp_path / 'known.json', players)
    assert found['no retry']['hits'] == 6 and found['viva retry']['hits'] == 10
    assert found['retries'] == 4
    assert (found['time-out']['hits'], found['time-out']['retries']) == (8, 2)
    assert (found['at the end']['hits'], found['at the end']['retries']) == (10, 4)
    assert found['viva over at the end']['gain'] == 0.0
    assert found['no retry']['successes_per_hour'] == pytest.approx(6 / (10 * 10.0 / 3600))
    assert found['viva over none']['gain'] == pytest.approx(0.4)
    # a random retry helps a failing episode if it is after 3 s of its 10 s
    assert 6 <= found['random 0']['hits'] < 10
    missed = (10 - found['random 0']['hits']) / 10
    assert found['viva over random']['gain'] == pytest.approx(missed)
    assert found['viva over random']['low'] >= 0.0


def test_figures_of_detector_match_hand_calculation() -> None:
    rows = [
        watched(1, 4.0, success=False, mode='slip', inject=2.0, manifest=3.5),
        watched(2, success=False, mode='stall', inject=2.0, manifest=5.0),
        watched(3, 1.0), watched(4), watched(5), watched(6, mode='near_miss'),
        watched(7, 3.0, mode='recovered_stall', manifest=2.0),
        watched(8, 2.0, mode='retry_slip'),
    ]  # fmt: skip
    generator = np.random.default_rng(0)
    known = [case(n, rising(generator)) for n in range(30)]
    first = watchers()[1]  # value alone
    made: dict[str, Calibration] = thresholds(first, known, 'e' * 16, 0.1)
    found = measures(rows, made)
    assert (found['false_alarms']['hits'], found['false_alarms']['of']) == (1, 4)
    assert (found['detected']['hits'], found['detected']['of']) == (1, 2)
    assert found['failures']['slip']['delay_median'] == pytest.approx(0.5)
    assert found['failures']['slip']['by'] == {'drop': 1}
    assert found['failures']['stall']['detected'] == 0.0
    assert found['apart']['near_miss']['of'] == 1
    assert found['apart']['recovered_stall']['hits'] == 1
    assert (found['retries']['succeeded']['hits'], found['retries']['succeeded']['of']) == (0, 1)
    assert found['retries']['succeeded, judged from the way home on']['hits'] == 1
    assert (found['by_task']['tray_lift']['hits'], found['by_task']['tray_lift']['of']) == (1, 4)
    high = made['tray_lift'].coverage[1]
    assert found['by_task']['tray_lift']['promised_low'] == pytest.approx(1.0 - high)
    # an alarm at the evidence of each: (1 - .35 + 1 - .5) / 2 and no false alarm
    assert found['best_twa'] == pytest.approx(((0.65 + 0.5) / 2 + 1) / 2)
    # at the cause of each: (1 - .2 + 1 - .2) / 2
    assert found['best_twa_of_causes'] == pytest.approx((0.8 + 1) / 2)
    assert found['promise']['tray_lift']['episodes'] == 24


def test_rules_pause_for_cool_down_after_retry() -> None:
    generator = np.random.default_rng(2)
    by_value = watchers()[1]
    made = thresholds(by_value, [case(n, rising(generator)) for n in range(40)], 'e', 0.1)
    early, late = list(np.linspace(0.4, -0.6, 40)), list(np.linspace(-0.6, 0.9, 100))
    home = watch(by_value, case(50, early + late, mode='retry_slip', attempt=4.0), made)
    # Judged from the attempt on, only its low values at the end of the floor's warm-up alarm.
    assert home.alarms[0].stamp < BEGIN + 4 * S
    assert home.begun[0].stamp > BEGIN + 8 * S
    assert home.alarms and not home.rested  # it falls during the way home of 4 s
    again = watch(by_value, case(51, early + late + early, mode='retry_slip'), made)
    assert again.rested[0].stamp > BEGIN + 14 * S  # and this is a second failure
    assert not watch(by_value, case(52, early + late), made).rested  # no retry


def test_rows_of_retries_judge_the_way_home_and_the_attempt() -> None:
    """Four retries succeed: one falls in its attempt; of one the time `attempt` is unknown."""
    generator = np.random.default_rng(2)
    by_value = watchers()[1]
    made = thresholds(by_value, [case(n, rising(generator)) for n in range(40)], 'e', 0.1)
    home, again = list(np.linspace(0.4, -0.6, 40)), list(np.linspace(-0.3, 0.95, 100))
    lost = [*again[:60], *[-0.6] * 40]
    rows = [
        watch(by_value, case(number, values, success, 'retry_slip', **times), made)
        for number, (values, success, times) in enumerate([
            (home + again, True, {'attempt': 4.0}), (home + lost, True, {'attempt': 4.0}),
            (again, True, {'attempt': 0.0}), (home + again, True, {}),
            (home + lost, False, {'attempt': 4.0}),
        ])
    ]  # fmt: skip
    assert [bool(one.alarms) for one in rows] == [True, True, False, True, True]
    assert [one.begun and bool(one.begun) for one in rows] == [(), True, (), None, True]
    found = measures(rows, made)
    whole = found['retries']['succeeded, judged from the way home on']
    assert (whole['hits'], whole['of']) == (3, 4)
    attempt = found['retries']['succeeded, judged from the attempt on']
    assert (attempt['hits'], attempt['of']) == (1, 3)
    columns = [list(column.cells) for column in tables.by_mode(found).columns]
    row = columns[0].index('retry that succeeded, judged from the attempt on')
    assert [column[row] for column in columns[1:3]] == ['3', '1 with alarm']


def test_value_detects_fall_and_time_counter_does_not() -> None:
    generator = np.random.default_rng(1)
    known = [case(n, rising(generator)) for n in range(40)]
    falls = rising(generator)[:60] + [-0.5] * 40
    test = case(99, falls, success=False, mode='slip', inject=5.9, manifest=6.0)
    named = {one.name: one for one in watchers()}
    by_value, clock = named['value alone'], named['time counter']
    seen = watch(by_value, test, thresholds(by_value, known, 'e', 0.1))
    assert 0.0 < seen.trial.delay < 1.5
    assert not watch(clock, test, thresholds(clock, known, 'e', 0.1)).alarms
    assert cost([test], thresholds(by_value, known, 'e', 0.1))['median_us'] > 0.0
