# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viva_ros.core.foreign_text import TEXT_LENGTH, shown, shown_list


@given(st.text(), st.integers(20, 300))
def test_any_text_is_shown_printable_and_short(text: str, length: int) -> None:
    found = shown(text, length)
    assert found.isprintable() and len(found) <= length
    assert shown(found, length) == found, 'a shown text is shown unchanged'


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('left arm', 'left arm'),
        ('Gr\xfc\xdfe \u6a5f', 'Gr\xfc\xdfe \u6a5f'),
        ('a\x1b[31mb', 'a\\x1b[31mb'),
        ('a\nERROR b\r', 'a\\nERROR b\\r'),
        ('safe\u202egpj', 'safe\\u202egpj'),
        ('a\u2028b\x85c\x00', 'a\\u2028b\\x85c\\x00'),
        ('\U000e0041', '\\U000e0041'),
        ('\ud800', '\\ud800'),
    ],
)
def test_characters_that_change_a_terminal_are_escaped(text: str, expected: str) -> None:
    assert shown(text) == expected


def test_long_text_keeps_begin_and_end() -> None:
    found = shown('begin ' + 'x' * 5_000_000 + ' end')
    assert len(found) == TEXT_LENGTH
    assert found.startswith('begin ') and found.endswith(' end') and ' ... ' in found


def test_lines_are_kept_on_request() -> None:
    assert shown('a\nb\x1b', lines=True) == 'a\nb\\x1b'


def test_list_of_many_names_has_the_first_and_their_number() -> None:
    assert shown_list(['a', 'b\n']) == 'a, b\\n'
    assert shown_list(map(str, range(30)), 3) == '0, 1, 2 and 27 more'
