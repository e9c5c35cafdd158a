# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import json
import math

import pytest

from viva_ros.core import json_text
from viva_ros.core.settings import SettingLimits


@pytest.mark.parametrize(
    ('data', 'named'),
    [
        (b'', 'Expecting value'), (b'\xff', 'utf-8'), (b'[]', 'must be an object'),
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', 'has c twice'),
        (b'[' * 1_000_000, 'more than 64 levels'), (b'{"a":' * 1_000_000, 'more than 64 levels'),
        (b'{"a":' * 33 + b'1' + b'}' * 33, 'more than 32 levels'),
        (b'{"a": ' + b'9' * 10_000 + b'}', 'beyond 64 bits'),
    ],
    ids=range(8),
)  # fmt: skip
def test_invalid_json_raises_value_error(data: bytes, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        json_text.parse_object(data)


def test_object_within_the_limits_is_read() -> None:
    deep = {'a': 1}
    for _ in range(30):
        deep = {'a': deep}
    assert json_text.parse_object(json.dumps(deep).encode()) == deep


@pytest.mark.parametrize('invalid', [True, '1', None, [], math.nan, math.inf, -1, 3, 10**400])
def test_number_out_of_range_or_type_raises_value_error(invalid: object) -> None:
    with pytest.raises(
        ValueError, match=r'rate is .*, at least 0 and at most 2|rate is .* at most'
    ):
        json_text.number('rate', invalid, SettingLimits(at_least=0.0, at_most=2.0))


def test_valid_fields_are_returned() -> None:
    assert json_text.number('rate', 1, SettingLimits(at_least=0.0)) == 1.0
    assert json_text.whole('n', 3, 0, 3) == 3
    assert json_text.names('names', ['a', 'b']) == ('a', 'b')
    assert json_text.hexadecimal('hash', 'ab12', 4) == 'ab12'


@pytest.mark.parametrize('invalid', [True, 1.0, '1', -1, 4, None])
def test_invalid_whole_number_raises_value_error(invalid: object) -> None:
    with pytest.raises(ValueError, match=r'n is .*, must be a whole number from 0 to 3'):
        json_text.whole('n', invalid, 0, 3)


@pytest.mark.parametrize('invalid', ['a', ['a', 'a'], [''], [1], {'a': 1}, ['a'] * 1001])
def test_invalid_names_raise_value_error(invalid: object) -> None:
    with pytest.raises(ValueError, match='names is'):
        json_text.names('names', invalid)


def test_long_value_is_shortened_in_the_error() -> None:
    with pytest.raises(ValueError, match='text is') as caught:
        json_text.text('text', 'x' * 1_000_000)
    assert len(str(caught.value)) < 200
