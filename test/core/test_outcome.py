# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
from typing import Any

import numpy as np
import pytest
from support.errors import raises

from viva_ros.core.outcome import (
    OutcomeWords,
    agreed,
    likely_columns,
    outcome,
    outcome_at,
    outcome_of_frames,
)

pytestmark = pytest.mark.fast


@pytest.mark.parametrize(('value', 'expected'), [
    (True, True), (False, False), (1, True), (0, False), (1.0, True), (0.0, False),
    (np.True_, True), (np.float32(0.0), False), (np.array([1]), True), ([False], False),
    ('success', True), (' Failure ', False), ('TRUE', True), ('no', False), ('1', True),
    (b'failed', False), ('succeeded', True),
    ('', None), ('maybe', None), ('none', None), (None, None), (float('nan'), None),
    (float('inf'), None), (2, None), (-1, None), (0.5, None), ([], None), ([True, False], None),
    ({'success': True}, None), (object(), None),
])  # fmt: skip
def test_outcome_of_a_value_is_strict(value: Any, expected: bool | None) -> None:
    assert outcome(value) is expected


def test_words_of_a_map_replace_the_usual_ones() -> None:
    words = OutcomeWords(('gut', '1'), ('schlecht',))
    found = [outcome(value, words) for value in ('Gut', 1.0, 'schlecht', 'success', True)]
    assert found == [True, True, False, None, None]


@pytest.mark.parametrize('words', [(('a',), ('a', 'b')), ((), ('a',)), (('a',), ())])
def test_words_need_both_outcomes_without_overlap(words: Any) -> None:
    with pytest.raises(ValueError, match='without overlap'):
        OutcomeWords(*words)


@pytest.mark.parametrize(('values', 'frames', 'expected'), [
    ([False, False, True], 'all', True), ([False, True, True], 'all', True),
    ([False, False], 'all', False), ([False, True, False], 'any', True),
    ([False, True, False], 'last', False), ([True, True], 'last', True),
])  # fmt: skip
def test_clear_frames_have_an_outcome(values: Any, frames: str, expected: bool) -> None:
    assert outcome_of_frames('done', values, frames=frames) == (expected, '')


@pytest.mark.parametrize(('values', 'reason'), [
    ([False, True, True, False], 'true from frame 1 to 2 and false in the last frame 3'),
    ([False, None], 'frame 1 has None'), ([float('nan')] * 3, 'frame 0 has nan'), ([], 'no fra'),
])  # fmt: skip
def test_unclear_frames_have_none_and_a_reason(values: Any, reason: str) -> None:
    found, text = outcome_of_frames('done', values)
    assert found is None and reason in text


def test_sources_agree_or_are_named() -> None:
    assert agreed({'a': None, 'b': True}) == (True, '')
    assert agreed({}) == (None, '')
    success, text = agreed({'a': True, 'b': False, 'c': None})
    assert success is None and 'a has success, b has failure' in text


def test_outcome_of_a_line_names_the_line_and_the_words() -> None:
    with raises('outcome-word', 'labels.csv, line 3', "'perhaps'", 'true, 1, yes, success'):
        outcome_at('labels.csv, line 3', 'perhaps')


def test_columns_that_may_be_outcomes_are_listed() -> None:
    names = ['timestamp', 'is_success', 'episode_outcome', 'successor_id']
    assert likely_columns(names) == ['episode_outcome', 'is_success', 'successor_id']
