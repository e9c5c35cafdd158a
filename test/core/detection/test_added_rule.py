# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An alert rule that another package adds by an entry point."""

import math
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.added_package import write_package

from viva_ros.core.detection import alarm, detector, rules
from viva_ros.core.detection.detector import Detector, DetectorSettings
from viva_ros.core.detection.rules import RULES, Rule, RuleSettings, Sample
from viva_ros.core.detection.thresholds import Threshold
from viva_ros.core.events import Level
from viva_ros.core.registry import Registry

S = 1_000_000_000
BUILTIN = {
    'drop': 'viva_ros.core.detection.value_rules:DROP',
    'floor': 'viva_ros.core.detection.value_rules:FLOOR',
}


class Jitter:
    """Largest step between neighbouring values."""

    def __init__(self, settings: RuleSettings, expected: object) -> None:
        self.reset()

    def reset(self) -> None:
        self._last, self._largest = math.nan, 0.0

    def update(self, sample: Sample) -> float:
        step = abs(sample.smoothed - self._last)
        self._largest = max(self._largest, step) if step == step else self._largest
        self._last = sample.smoothed
        return self._largest

    def explain(self, statistic: float, threshold: float) -> str:
        return f'value jumped by {statistic:.2f}, threshold {threshold:.2f}'


@pytest.fixture
def jitter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    write_package(tmp_path, 'jitter_rule', RULES.group, 'jitter = jitter_rule:RULE')
    monkeypatch.syspath_prepend(str(tmp_path))
    import jitter_rule

    jitter_rule.RULE = Rule(Jitter)
    fresh: Registry[Rule] = Registry(RULES.kind, RULES.group, BUILTIN)
    for module in (rules, detector, alarm):
        monkeypatch.setattr(module, 'RULES', fresh)
    yield
    sys.modules.pop('jitter_rule', None)


def test_rule_of_another_package_alarms_with_its_own_text(jitter: None) -> None:
    settings = DetectorSettings(RuleSettings(smoothing=0.0, debounce=0.0))
    watch = Detector(settings, {'jitter': Threshold(0.2, 0.3)})
    events = [
        event
        for at, value in enumerate([0.1, 0.2, 0.1, 0.6])
        for event in watch.update(at * S // 10, value, '', 'e', executing=True)
    ]
    (found,) = [event for event in events if event.level == Level.ALARM]
    assert found.kind == 'jitter'
    assert found.text == 'value jumped by 0.50, threshold 0.30'
    assert found.statistic == pytest.approx(0.5)


def test_threshold_for_an_unknown_rule_is_refused() -> None:
    with pytest.raises(ValueError, match=r"thresholds are for \['jitter'\], rules are drop, "):
        Detector(DetectorSettings(), {'jitter': Threshold(0.2, 0.3)})
