# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import pytest
from support.errors import raises

from viva_ros.cli.calibrate import parse, rule_settings
from viva_ros.core.detection.rules import RuleSettings


def test_rule_settings_are_set_by_parameter_name() -> None:
    found = rule_settings(['rules.debounce=0.5', 'rules.agreement=1'])
    assert (found.debounce, found.agreement) == (0.5, 1.0)
    assert found.smoothing == RuleSettings().smoothing
    assert rule_settings([]) == RuleSettings()


@pytest.mark.parametrize(
    ('text', 'code', 'named'),
    [
        ('debounce=0.5', 'calibrate-setting-unknown', 'rules.debounce'),
        ('rules.debounce', 'calibrate-setting-type', 'rules.debounce must be a number'),
        ('rules.debounce=long', 'calibrate-setting-type', 'rules.debounce must be a number'),
        ('rules.debounce=-1', 'setting-out-of-range', 'rules.debounce is -1.0'),
        ('rules.debounce=nan', 'setting-out-of-range', 'rules.debounce is nan'),
    ],
)
def test_invalid_rule_settings_are_refused(text: str, code: str, named: str) -> None:
    with raises(code, named):
        rule_settings([text])


def test_repeated_setting_is_refused_and_repeated_option_is_joined() -> None:
    args = parse(['rec', '--set', 'rules.debounce=0.5', '--set', 'rules.smoothing=0.3'])
    assert args.set == ['rules.debounce=0.5', 'rules.smoothing=0.3']
    with raises('calibrate-setting-repeated', 'rules.debounce'):
        rule_settings(['rules.debounce=0.5', 'rules.debounce=0.3'])
