# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from support.errors import raises

from viva_ros.core.detection.reference import Reference, StatisticScale
from viva_ros.core.detection.rules import RULES, RuleSettings, threshold_limits
from viva_ros.core.detection.thresholds import (
    Calibration,
    TaskCalibrations,
    Threshold,
    Unreachable,
    calibration_file,
    load,
)
from viva_ros.core.errors import CalibrationError

MADE = Calibration(
    engine='0123456789abcdef',
    task='tray_lift',
    episodes=60,
    alpha=0.1,
    warn_alpha=0.3,
    rank=59,
    coverage=(0.92, 0.99),
    rules=RuleSettings(),
    rate=10.0,
    thresholds={
        'drop': Threshold(0.1, 0.2),
        'no_rise': Threshold(-0.2, -0.1),
        'floor': Threshold(0.5, 0.6),
    },
    source='viva calibrate recordings/',
)


def damage(path: Path, **changes: object) -> None:
    content = json.loads(MADE.to_json())
    content.update(changes)
    path.write_text(json.dumps(content))


def test_calibration_round_trips_through_its_file(tmp_path: Path) -> None:
    MADE.save(tmp_path / 'c.json')
    assert load(tmp_path / 'c.json') == MADE


def test_max_gap_is_stored_as_gap(tmp_path: Path) -> None:
    made = replace(MADE, rules=replace(RuleSettings(), max_gap=2.5))
    stored = made.to_dict()['rules']
    assert stored['gap'] == 2.5 and 'max_gap' not in stored
    made.save(tmp_path / 'c.json')
    assert load(tmp_path / 'c.json').rules.max_gap == 2.5
    with raises('calibration-rules', 'max_gap', 2.5, 1.0, of=CalibrationError):
        made.check(made.engine, made.task, RuleSettings(), 10.0)


def test_calibration_of_another_engine_or_task_is_refused() -> None:
    MADE.check('0123456789abcdef', 'tray_lift', RuleSettings(), 10.0)
    remedy = "run 'viva calibrate'"
    with raises('calibration-engine', "'0123456789abcdef'", "'ff'", remedy, of=CalibrationError):
        MADE.check('ff', 'tray_lift', RuleSettings(), 10.0)
    with raises('calibration-task', "'tray_lift'", "'cube'", remedy, of=CalibrationError):
        MADE.check('0123456789abcdef', 'cube', RuleSettings(), 10.0)
    option = '--set rules.debounce=0.5'
    with raises('calibration-rules', 'debounce', 0.3, 0.5, option, of=CalibrationError):
        MADE.check('0123456789abcdef', 'tray_lift', replace(RuleSettings(), debounce=0.5), 10.0)
    both = '--set rules.drop_window=3.0 rules.debounce=0.5'  # all that differ from the defaults
    with raises('calibration-rules', 'drop_window 4.0', both, of=CalibrationError):
        rules = replace(RuleSettings(), debounce=0.5, drop_window=3.0)
        MADE.check('0123456789abcdef', 'tray_lift', rules, 10.0)
    other = replace(MADE, rules=replace(RuleSettings(), debounce=0.5))
    with raises('calibration-rules', 'debounce 0.5', 'again without --set', of=CalibrationError):
        other.check('0123456789abcdef', 'tray_lift', RuleSettings(), 10.0)


@pytest.mark.parametrize('rate', [10.0, 9.6, 10.4])
def test_rate_within_five_percent_is_accepted(rate: float) -> None:
    MADE.check('0123456789abcdef', 'tray_lift', RuleSettings(), rate)


@pytest.mark.parametrize(
    ('rate', 'named'),
    [
        (5.0, ('at 10 Hz', 'these are at 5 Hz', 'set rate to 10', 'viva calibrate --rate 5')),
        (10.6, ('at 10.6 Hz',)),
        (9.4, ('at 9.4 Hz',)),
        (0.0, ('unknown', 'the field rate of viva_ros/Value')),  # not set by the publisher
        (math.nan, ('unknown',)),
        (math.inf, ('at inf Hz',)),
    ],
)
def test_values_at_another_or_unknown_rate_are_refused(rate: float, named: tuple) -> None:
    with raises('calibration-rate', *named, of=CalibrationError):
        MADE.check('0123456789abcdef', 'tray_lift', RuleSettings(), rate)


def test_unreachable_rule_is_stored_and_explained_with_its_remedy(tmp_path: Path) -> None:
    rules = 'drop', 'floor'
    found = {'no_rise': Unreachable(2.0, rules), 'floor': Unreachable(0.0, rules)}
    limits = {**MADE.thresholds, 'no_rise': Threshold(1.5, 2.0)}
    made = replace(MADE, thresholds=limits, unreachable=found)
    made.save(tmp_path / 'c.json')
    assert load(tmp_path / 'c.json') == made
    assert made.warnings == [
        'the rule no_rise never raises an alarm: its threshold is 2, its largest possible '
        'value 2; the rule floor never raises an alarm: its threshold is 0.6, its largest '
        'possible value 0: calibrate again with --rules drop floor'
    ]
    assert MADE.warnings == []
    both = TaskCalibrations({'tray_lift': made, 'cube': CalibrationError('x', 'damaged')})
    assert both.warnings == [f"task 'tray_lift': {text}" for text in made.warnings]


@pytest.mark.parametrize(
    ('found', 'remedy'),
    [
        (Unreachable(1.6, ('drop', 'floor'), seldom=True), '--rules drop floor'),
        (Unreachable(1.6, (), 0.152, True), 'again with --alpha 0.152 --warn-alpha 0.152'),
        (
            Unreachable(1.6, ('floor',), 0.2, True),
            '--rules floor, or with --alpha 0.2 --warn-alpha 0.2',
        ),
        (Unreachable(1.6, seldom=True), 'with other successes'),
    ],
)
def test_rule_that_seldom_alarms_is_stored_with_its_remedy(
    tmp_path: Path, found: Unreachable, remedy: str
) -> None:
    made = replace(MADE, unreachable={'drop': found}, rise=(-0.5, 0.9))
    made.save(tmp_path / 'c.json')
    assert load(tmp_path / 'c.json') == made
    (text,) = made.warnings
    assert text.startswith(
        'the rule drop seldom raises an alarm: its threshold is 0.2, its largest'
    )
    assert 'value in a usual failure 1.6: calibrate again ' in text and text.endswith(remedy)


@pytest.mark.parametrize(
    ('rise', 'done', 'remedy'),
    [
        ((-0.5, 0.9), 0.25, ''),  # the rules judge .75 / 1.4 of the rise
        ((-0.5, 0.9), 0.15, 'with --done-above 0.9'),  # .65 / 1.4
        ((0.4, 0.52), 0.3, 'with --done-above 0.52'),
    ],
)
def test_done_level_below_the_usual_rise_is_announced(
    rise: tuple[float, float], done: float, remedy: str
) -> None:
    made = replace(MADE, rise=rise, expected=Reference(done_above=done))
    assert made.blind.endswith(remedy) and bool(made.blind) == bool(remedy)
    if remedy:
        assert made.warnings == [made.blind]
        judged = f'the rules no_rise judge only values below the done level of {done:.3g}; that of'
        assert made.blind.startswith(judged)


@pytest.mark.parametrize('rise', [(0.486, 0.495), (0.5, 0.5), (0.5, 0.4), (-0.4, -0.31)])
@pytest.mark.parametrize('done', [0.458, 0.495, 0.9])
def test_value_that_hardly_rises_is_announced_at_any_done_level(
    rise: tuple[float, float], done: float
) -> None:
    made = replace(MADE, rise=rise, expected=Reference(done_above=done))
    (text,) = made.warnings
    assert text == (
        f'the value of successes goes from {rise[0]:.3g} to {rise[1]:.3g}, must rise by at least '
        '0.1: calibrate again with an engine whose value rises'
    )
    assert not replace(made, rise=(-0.4, -0.29), expected=Reference(done_above=0.8)).warnings


@pytest.mark.parametrize(
    ('alarms', 'note'),
    [
        ({'no_rise': -0.01, 'stall': 12.34}, ''),
        ({'no_rise': 0.0, 'stall': 12.34, 'slope': 0.4}, 'stall detects it after 12.3 s'),
        ({'no_rise': 0.2, 'slope': 0.4}, 'slope detects it after 8 s'),  # at .05 per s
        ({'no_rise': 0.2, 'stall': 60.0}, 'no rule of this calibration detects it'),
        ({'no_rise': 0.2, 'drop': 0.1}, 'no rule of this calibration detects it'),
        ({'drop': 0.1}, ''),
    ],
)
def test_rule_that_detects_a_standing_value_is_noted(alarms: dict, note: str) -> None:
    made = replace(MADE, thresholds={kind: Threshold(one, one) for kind, one in alarms.items()})
    head = 'a value that stands raises no alarm of no_rise, whose threshold is at or above 0: '
    assert made.standing == (head + note if note else '')
    low = replace(made, rise=(-0.5, 0.9), expected=Reference(done_above=-0.4))
    assert not note or low.standing.endswith('no rule of this calibration detects it')


def test_standing_value_is_noted_by_progress_too() -> None:
    scale = StatisticScale((0.5,), (-0.4, -0.2), (0.1, 0.1))
    stall = StatisticScale((0.5,), (1.0, 2.0), (1.0, 3.0))
    expected = Reference(norms={'no_rise': scale, 'stall': stall})
    limits = {'no_rise': Threshold(3.0, 3.0), 'stall': Threshold(4.0, 4.0)}
    made = replace(MADE, thresholds=limits, expected=expected)
    assert made.standing == ''  # -.4 + 3 * .1 = -.1 in the first half
    limits['no_rise'] = Threshold(4.1, 4.1)  # .01
    made = replace(MADE, thresholds=limits, expected=expected)
    assert made.standing.endswith('stall detects it after 14 s')  # 2 + 4 * 3 in the second


def test_cap_that_successes_reach_is_named() -> None:
    found = {'drop': Unreachable(2.0, ('floor',))}
    made = replace(MADE, unreachable=found, alone={'drop': 2.0}, thresholds={
        **MADE.thresholds, 'drop': Threshold(1.0, 2.1)
    })  # fmt: skip
    assert 'value 2, the cap of its statistic, which successes reach: calib' in made.unreached
    assert 'the cap' not in replace(made, alone={'drop': 1.9}).unreached


def test_file_without_the_usual_rise_is_read(tmp_path: Path) -> None:
    damage(tmp_path / 'c.json')
    assert 'rise' not in json.loads((tmp_path / 'c.json').read_text())
    assert load(tmp_path / 'c.json').rise is None and not MADE.blind


def test_missing_calibration_file_is_refused(tmp_path: Path) -> None:
    with raises('calibration-unreadable', tmp_path / 'c.json', "run 'viva calibrate'"):
        load(tmp_path / 'c.json')


@pytest.mark.parametrize(
    ('changes', 'named'),
    [
        ({'format': 'another'}, "'another'"),
        ({'thresholds': {kind: {'warn': 0.3, 'alarm': 0.2} for kind in RULES}}, 'warn is 0.3'),
        ({'thresholds': {kind: {'warn': math.nan, 'alarm': 0.2} for kind in RULES}}, 'nan'),
        ({'thresholds': {kind: {'warn': 'low', 'alarm': 'high'} for kind in RULES}}, "'low'"),
        ({'thresholds': {kind: {'warn': 0.1} for kind in RULES}}, "'alarm'"),
        ({'combine': 'xor'}, "'xor'"),
        ({'expected': {}}, "'norms'"),
        ({'thresholds': {}}, 'thresholds'),
        ({'rules': {'debounce': -1.0}}, 'rules.debounce is -1.0'),
        ({'rules': {'window': 2.0}}, "'window'"),
        ({'rules': {'gap': 1.0, 'max_gap': 2.0}}, "'max_gap'"),
        ({'rules': [['gap', 1.0]]}, 'must be an object'),
        ({'coverage': [0.1]}, '2'),
        ({'unexpected': 1}, "'unexpected'"),
        ({'rate': 0.0}, 'rate is 0.0'),
        ({'rate': math.inf}, 'rate is inf'),
        ({'expected': {'slope': 0.0, 'joints': {}, 'norms': {}}}, "'done_above'"),
        (
            {'expected': {'slope': 0.0, 'joints': {}, 'norms': {}, 'done_above': 1.5}},
            'done_above is 1.5',
        ),
        ({'unreachable': {'stall': {'largest': 60.0, 'rules': []}}}, "unreachable are ['stall']"),
        ({'unreachable': {'drop': {'rules': []}}}, "'largest'"),
        ({'rise': [0.1]}, '2'),
    ],
)
def test_damaged_calibration_is_refused(
    tmp_path: Path, changes: dict[str, object], named: str
) -> None:
    damage(tmp_path / 'c.json', **changes)
    with raises('calibration-damaged', tmp_path / 'c.json', named, "run 'viva calibrate'"):
        load(tmp_path / 'c.json')


@pytest.mark.parametrize(
    ('text', 'code'),
    [
        ('', 'calibration-text'),
        ('{', 'calibration-text'),
        ('\x00', 'calibration-text'),
        ('[]', 'calibration-text'),
        ('{}', 'calibration-damaged'),
        ('null', 'calibration-text'),
        ('{"format": 1, "format": 2}', 'calibration-text'),
        ('[' * 100_000, 'calibration-text'),
        ('{"a":' * 200 + '1' + '}' * 200, 'calibration-text'),
    ],
)
def test_file_of_another_kind_is_refused(tmp_path: Path, text: str, code: str) -> None:
    (tmp_path / 'c.json').write_text(text)
    with raises(code, 'c.json', "run 'viva calibrate'"):
        load(tmp_path / 'c.json')


@pytest.mark.parametrize(
    ('version', 'named'),
    [(1, 'viva_ros calibration 4'), (2, 'forecast_residual now; a'), (3, 'rate'), (5, '4')],
)
def test_calibration_of_another_format_is_refused(
    tmp_path: Path, version: int, named: str
) -> None:
    damage(tmp_path / 'c.json', format=f'viva_ros calibration {version}')
    with raises('calibration-format', tmp_path / 'c.json', named, "run 'viva calibrate' again"):
        load(tmp_path / 'c.json')


def limits_of(kind: str, warn: object, alarm: object) -> dict[str, object]:
    return {
        'thresholds': {'drop': {'warn': 0.1, 'alarm': 0.2}, kind: {'warn': warn, 'alarm': alarm}}
    }


def reference(**changes: object) -> dict[str, object]:
    return {'expected': {'slope': 0.1, 'joints': {}, 'norms': {}, 'done_above': 0.9, **changes}}


def norm(edges: object, middle: object, spread: object) -> dict[str, object]:
    return reference(norms={'drop': {'edges': edges, 'middle': middle, 'spread': spread}})


NUMBERS = (1e9, -1e9, math.inf, -math.inf, math.nan, '0.2', True, None, [0.2], 10**18)


@pytest.mark.parametrize('kind', list(RULES))
@pytest.mark.parametrize('invalid', NUMBERS, ids=repr)
def test_threshold_outside_the_range_of_its_rule_is_refused(
    tmp_path: Path, kind: str, invalid: object
) -> None:
    low, high = RULES[kind].span
    assert math.isfinite(low) and math.isfinite(high)
    for place, pair in (('warn', (invalid, high)), ('alarm', (low, invalid))):
        damage(tmp_path / 'c.json', **limits_of(kind, *pair))
        named = f'thresholds.{kind}.{place} is', f'at least {low:g} and at most {high:g}'
        with raises('calibration-damaged', *named, "run 'viva calibrate'"):
            load(tmp_path / 'c.json')
    damage(tmp_path / 'c.json', **limits_of(kind, low, high))
    assert load(tmp_path / 'c.json').thresholds[kind] == Threshold(low, high)


def test_range_of_a_threshold_by_progress_is_in_spreads() -> None:
    scale = StatisticScale((0.5,), (0.1, 0.2), (0.1, 0.2))
    limits = threshold_limits('drop', Reference(norms={'drop': scale}))
    assert limits.bounds() == pytest.approx((-1.0, 19.0))  # (0 - .1) / .1, (2 - .1) / .1


@pytest.mark.parametrize('invalid', NUMBERS, ids=repr)
@pytest.mark.parametrize(
    ('field', 'allowed'),
    [
        ('alpha', 'above 0 and below 1'), ('warn_alpha', 'at least 0.1 and below 1'),
        ('rate', 'above 0 and at most 1000'), ('episodes', 'a whole number from 1 to 1000000'),
        ('rank', 'a whole number from 1 to 60'), ('shaping', 'a whole number from 0'),
        ('seconds', 'above 0 and at most 86400'), ('done_above', 'at least -1 and at most 1'),
        ('slope', 'at least 0 and at most 100'), ('joint', 'at least 0 and at most 1000'),
        ('alone', 'at least 0 and at most 2'), ('coverage', 'at least 0 and at most 1'),
        ('rise', 'at least -1 and at most 1'), ('drop_window', ''),
    ],
)  # fmt: skip
def test_number_of_calibration_out_of_range_is_refused(
    tmp_path: Path, field: str, allowed: str, invalid: object
) -> None:
    unknown = invalid is None or (field == 'seconds' and invalid is math.nan)
    if field in ('seconds', 'rise') and unknown:
        return
    forms = {
        'joint': reference(joints={'waist': invalid}), 'alone': {'alone': {'drop': invalid}},
        'coverage': {'coverage': [0.5, invalid]}, 'rise': {'rise': [invalid, 0.5]},
        'drop_window': {'rules': {'drop_window': invalid}},
        'done_above': reference(done_above=invalid), 'slope': reference(slope=invalid),
    }  # fmt: skip
    damage(tmp_path / 'c.json', **forms.get(field, {field: invalid}))
    with raises('calibration-damaged', field, allowed, "run 'viva calibrate'"):
        load(tmp_path / 'c.json')


@pytest.mark.parametrize(
    ('changes', 'named'),
    [
        ({'alpha': 5.0}, 'alpha is 5.0, must be above 0 and below 1'),
        ({'alpha': 0.4}, 'warn_alpha is 0.3, must be at least 0.4'),
        ({'coverage': [0.9, 0.8]}, 'coverage is 0.9 to 0.8, must ascend'),
        (norm([0.5, 0.5], [0.1, 0.1, 0.1], [1.0, 1.0, 1.0]), 'edges are (0.5, 0.5), must ascend'),
        (norm([0.9, 0.1], [0.1, 0.1, 0.1], [1.0, 1.0, 1.0]), 'edges are (0.9, 0.1), must ascend'),
        (norm([0.5], [0.1], [1.0, 1.0]), '1 edges need 2 parts'),
        (norm([0.5], [0.1, math.inf], [1.0, 1.0]), 'norms.drop.middle is inf'),
        (norm([0.5], [0.1, 1e9], [1.0, 1.0]), 'norms.drop.middle is 1000000000.0'),
        (norm([0.5], [0.1, 0.1], [1.0, 0.0]), 'norms.drop.spread is 0.0'),
        (norm([0.5], [0.1, 0.1], [1.0, math.nan]), 'norms.drop.spread is nan'),
        (norm([0.5] * 2000, [0.1], [1.0]), 'norms.drop.edges is [0.5'),
        (reference(norms={'jitter': {}}), "expected.norms are ['jitter']"),
        (reference(joints={'': 0.1}), 'a joint in expected.joints is empty'),
        ({'task': ''}, 'task is empty'),
        ({'engine': 5}, 'engine is 5'),
        ({'source': 'x' * 20_000}, 'source is'),
        ({'alone': {'jitter': 0.1}}, "alone are ['jitter']"),
        ({'unreachable': {'drop': {'largest': math.inf, 'rules': []}}}, 'drop.largest is inf'),
        ({'unreachable': {'drop': {'largest': 2.0, 'rules': 'drop'}}}, 'drop.rules is'),
        ({'unreachable': {'drop': {'largest': 2.0, 'rules': [], 'alpha': 5}}}, 'drop.alpha is 5'),
        ({'unreachable': {'drop': {'largest': 2.0, 'rules': [], 'seldom': 1}}}, 'seldom is 1'),
        ({'episode_identities': ['ab']}, 'episode_identities is'),
        ({'episode_identities': 'ab XY'}, "episode_identities has 'XY'"),
        ({'rules': {'drop_window': 1e9}}, 'rules.drop_window is 1000000000.0, must be at'),
    ],
)  # fmt: skip
def test_invalid_content_of_calibration_is_named(
    tmp_path: Path, changes: dict[str, object], named: str
) -> None:
    damage(tmp_path / 'c.json', **changes)
    with raises('calibration-damaged', named, "run 'viva calibrate'"):
        load(tmp_path / 'c.json')


def test_huge_calibration_file_is_refused_before_parsing(tmp_path: Path) -> None:
    with (tmp_path / 'c.json').open('wb') as file:
        file.truncate(1 << 40)  # a sparse file
    with raises('file-too-large', tmp_path / 'c.json', 1 << 40):
        load(tmp_path / 'c.json')


def test_threshold_of_uninstalled_rule_names_both_remedies(tmp_path: Path) -> None:
    damage(tmp_path / 'c.json', thresholds={'jitter': {'warn': 0.1, 'alarm': 0.2}})
    remedies = 'install the package of the rule', "run 'viva calibrate' again"
    with raises('calibration-rule-unknown', tmp_path / 'c.json', 'jitter', 'drop', *remedies):
        load(tmp_path / 'c.json')


def test_threshold_with_warn_above_alarm_raises_value_error() -> None:
    with pytest.raises(ValueError, match=r'warn is 0\.3, must be at most alarm, 0\.2'):
        Threshold(0.3, 0.2)
    with pytest.raises(ValueError, match='warn is nan'):
        Threshold(float('nan'), 0.2)


def test_calibration_file_is_named_by_task() -> None:
    assert calibration_file(Path('e'), 'lift') == Path('e/calibration_lift.json')
    assert calibration_file(Path('e'), 'fold ../it').name == 'calibration_fold_.._it.json'


def test_task_without_calibration_is_refused() -> None:
    damaged = CalibrationError('calibration-damaged', 'cube.json is damaged')
    made = TaskCalibrations({'tray_lift': MADE, 'cube': damaged})
    assert made.of('tray_lift') is MADE
    with raises('calibration-damaged', 'cube.json'):
        made.of('cube')
    with raises('calibration-missing', "'fold'", 'tray_lift'):
        made.of('fold')
    assert made.get('cube') is None
