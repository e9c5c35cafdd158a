# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import json
from dataclasses import replace
from pathlib import Path

import pytest

from viva_ros.core.detection.rules import RULES, RuleSettings
from viva_ros.core.detection.thresholds import (
    Calibration,
    TaskCalibrations,
    Threshold,
    calibration_file,
    load,
)
from viva_ros.core.errors import CalibrationError, ConfigurationError

MADE = Calibration(
    engine='0123456789abcdef',
    task='tray_lift',
    episodes=60,
    alpha=0.1,
    warn_alpha=0.3,
    rank=59,
    coverage=(0.92, 0.99),
    rules=RuleSettings(),
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


def test_a_calibration_read_back_is_the_same(tmp_path: Path) -> None:
    MADE.save(tmp_path / 'c.json')
    assert load(tmp_path / 'c.json') == MADE


def test_it_is_refused_for_another_engine_task_or_rule_setting() -> None:
    MADE.check('0123456789abcdef', 'tray_lift', RuleSettings())
    with pytest.raises(CalibrationError, match=r"for engine '0123456789abcdef', not for 'ff'"):
        MADE.check('ff', 'tray_lift', RuleSettings())
    with pytest.raises(CalibrationError, match=r"for task 'tray_lift', not for 'cube'"):
        MADE.check('0123456789abcdef', 'cube', RuleSettings())
    with pytest.raises(CalibrationError, match=r'debounce 0\.3, the setting is 0\.5: set it to'):
        MADE.check('0123456789abcdef', 'tray_lift', replace(RuleSettings(), debounce=0.5))


def test_a_missing_file_is_named_with_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match=r"c\.json cannot be read.*run 'viva calibrate'"):
        load(tmp_path / 'c.json')


@pytest.mark.parametrize(
    'changes',
    [
        {'format': 'another'},
        {'thresholds': {kind: {'warn': 0.3, 'alarm': 0.2} for kind in RULES}},
        {'thresholds': {kind: {'warn': float('nan'), 'alarm': 0.2} for kind in RULES}},
        {'thresholds': {kind: {'warn': 'low', 'alarm': 'high'} for kind in RULES}},
        {'thresholds': {kind: {'warn': 0.1} for kind in RULES}},
        {'thresholds': {'dorp': {'warn': 0.1, 'alarm': 0.2}}},
        {'combine': 'xor'},
        {'expected': {}},
        {'format': 'viva_ros calibration 1'},
        {'thresholds': {}},
        {'rules': {'debounce': -1.0}},
        {'rules': {'window': 2.0}},
        {'coverage': [0.1]},
        {'unexpected': 1},
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    damage(tmp_path / 'c.json', **changes)
    with pytest.raises(CalibrationError, match='is damaged'):
        load(tmp_path / 'c.json')


@pytest.mark.parametrize('text', ['', '[]', '{', '{}', 'null', '\x00'])
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / 'c.json').write_text(text)
    with pytest.raises(CalibrationError, match="run 'viva calibrate'"):
        load(tmp_path / 'c.json')


def test_warn_is_at_most_alarm() -> None:
    with pytest.raises(ValueError, match=r'warn is 0\.3, must be at most alarm, 0\.2'):
        Threshold(0.3, 0.2)
    with pytest.raises(ValueError, match='warn is nan'):
        Threshold(float('nan'), 0.2)


def test_each_task_has_a_calibration_of_its_own_beside_the_engine() -> None:
    assert calibration_file(Path('e'), 'lift') == Path('e/calibration_lift.json')
    assert calibration_file(Path('e'), 'fold ../it').name == 'calibration_fold_.._it.json'


def test_a_task_without_a_calibration_says_why() -> None:
    made = TaskCalibrations({'tray_lift': MADE, 'cube': CalibrationError('cube.json is damaged')})
    assert made.of('tray_lift') is MADE
    with pytest.raises(CalibrationError, match='damaged'):
        made.of('cube')
    with pytest.raises(ConfigurationError, match=r"task 'fold', must be one of tray_lift$"):
        made.of('fold')
    assert made.get('cube') is None
