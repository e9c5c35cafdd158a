# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viva_ros.core.input_limits import DEPTH_LIMIT
from viva_ros.core.json_reader import check_content, parse_json, read_json
from viva_ros.core.regular_file import FileKindError, open_regular

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(blacklist_characters='\0', blacklist_categories=['Cs'])),
    lambda inner: st.lists(inner) | st.dictionaries(
        st.text(st.characters(blacklist_characters='\0', blacklist_categories=['Cs'])), inner
    ),
)  # fmt: skip


@given(VALUES)
def test_ordinary_content_is_returned_as_written(content: Any) -> None:
    assert parse_json(json.dumps(content)) == content


@given(st.binary() | st.text())
def test_any_text_is_content_or_a_value_error(text: str | bytes) -> None:
    try:
        parse_json(text)
    except ValueError as error:
        assert str(error)


@pytest.mark.parametrize(
    ('text', 'named'),
    [
        ('{"a": 1, "a": 2}', 'a twice'),
        ('[' * 100_000 + ']' * 100_000, f'{DEPTH_LIMIT} levels'),
        ('{"a":' * 100 + '1' + '}' * 100, f'{DEPTH_LIMIT} levels'),
        ('{"a": NaN}', 'NaN'),
        ('[Infinity]', 'Infinity'),
        ('[-Infinity]', '-Infinity'),
        ('[1e999]', '1e999'),
        ('[-1e999]', '-1e999'),
        (f'[{2**64}]', '64 bits'),
        (f'[{-(2**63) - 1}]', '64 bits'),
        ('[' + '9' * 100_000 + ']', '64 bits'),
        ('["a\\u0000b"]', 'NUL'),
        ('{"a\\u0000": 1}', 'NUL'),
        ('["\\ud800"]', 'Unicode'),
        (b'["\xff"]', 'utf-8'),
        ('', 'Expecting value'),
    ],
    ids=str,
)
def test_content_that_no_reader_expects_is_refused(text: str | bytes, named: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_json(text)
    assert named in str(caught.value) and len(str(caught.value)) < 300


def test_text_above_the_limit_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    (tmp_path / 'a.json').write_text('{"a": "' + 'b' * 100 + '"}')
    for read in (lambda: read_json(tmp_path / 'a.json', 50), lambda: parse_json('1' * 60, 50)):
        with pytest.raises(ValueError, match='50 bytes'):
            read()


def test_numbers_that_are_not_finite_are_allowed_on_request() -> None:
    assert parse_json('[Infinity]', finite=False) == [float('inf')]
    with pytest.raises(ValueError, match='inf'):
        check_content({'a': [float('inf')]})


def test_pipes_sockets_and_devices_are_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / 'pipe')
    (tmp_path / 'link').symlink_to(tmp_path / 'pipe')
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / 'socket'))
        named = {'pipe': 'pipe', 'link': 'pipe', 'socket': 'socket', '/dev/zero': 'device'}
        for name, kind in named.items():
            with pytest.raises(FileKindError, match=kind):
                read_json(tmp_path / name)
    with pytest.raises(FileKindError, match='folder'):
        open_regular(tmp_path)


def test_links_in_a_circle_are_an_error_of_the_file(tmp_path: Path) -> None:
    (tmp_path / 'a').symlink_to(tmp_path / 'b')
    (tmp_path / 'b').symlink_to(tmp_path / 'a')
    with pytest.raises(OSError):
        read_json(tmp_path / 'a')
