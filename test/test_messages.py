# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages: each field has a comment with a unit or a range, and matches the code."""

import re
from pathlib import Path

import pytest

from viva_ros import msg
from viva_ros.core.events import Level
from viva_ros.core.events import kinds as event_kinds

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / 'msg').glob('*.msg'))
FIELD = re.compile(r'^(?P<type>[\w/]+(\[\d*\])?) +(?P<name>[a-z]\w*)$')
CONSTANT = re.compile(r'^\w+ +(?P<name>[A-Z]\w*) *= *(?P<value>\d+)')

#: Types that need a unit or a range; text, flags and stamps have none.
MEASURED = ('float32', 'float64', 'int64', 'uint64', 'uint32', 'uint8')
UNIT = re.compile(
    r'\[-?\d|\bs,|, s\b|\brad\b|\bns\b|[Ss]econds|from 1|>= 0|> 0|units of|constants above|'
    r'dimensionless|STATUS_|\bseed\b|so far'
)


def paragraphs(text: str) -> list[list[str]]:
    return [block.splitlines() for block in text.strip().split('\n\n')]


def fields(path: Path) -> list[tuple[str, str, str]]:
    """Return (type, name, comment) of each field; a comment applies to its whole paragraph."""
    found = []
    for lines in paragraphs(path.read_text(encoding='utf-8')):
        comment = ' '.join(line.lstrip('# ') for line in lines if line.startswith('#'))
        for line in lines:
            match = FIELD.match(line.partition('#')[0].strip())
            if match:
                found.append((match['type'], match['name'], comment + line.partition('#')[2]))
    return found


ALL = [(path.stem, *field) for path in FILES for field in fields(path)]


def test_every_message_is_built_and_listed():
    listed = (ROOT / 'CMakeLists.txt').read_text(encoding='utf-8')
    for path in FILES:
        assert f'msg/{path.name}' in listed
        assert hasattr(msg, path.stem)


def test_parsed_fields_equal_built_messages():
    for path in FILES:
        built = getattr(msg, path.stem).get_fields_and_field_types()
        assert [name for _, name, _ in fields(path)] == list(built)


@pytest.mark.parametrize(('message', 'kind', 'name', 'comment'), ALL)
def test_every_field_has_a_comment_with_unit_or_range(message, kind, name, comment):
    if message == 'GroundTruth' and name in ('header', 'episode_id', 'task', 'seed'):
        return  # as in the other messages
    assert comment, f'{message}.{name} has no comment'
    if kind.partition('[')[0] in MEASURED:
        assert UNIT.search(comment), f'{message}.{name} has neither unit nor range: {comment}'


def test_alert_levels_equal_those_of_core():
    text = (ROOT / 'msg' / 'Alert.msg').read_text(encoding='utf-8')
    constants = {m['name']: int(m['value']) for m in map(CONSTANT.match, text.splitlines()) if m}
    assert constants == {level.name: int(level) for level in Level}


def test_alert_kinds_equal_those_of_core():
    comment = next(c for t, n, c in fields(ROOT / 'msg' / 'Alert.msg') if n == 'kind')
    assert set(re.findall(r'[a-z_]+', comment)) == set(event_kinds())


@pytest.mark.parametrize('name', ['Value', 'FutureProprioception', 'Alert'])
def test_message_has_required_fields(name):
    wanted = {
        'Value': 'header status reason value task episode_id engine latency skew',
        'FutureProprioception': 'header joint_names positions horizon',
        'Alert': 'header level kind value statistic threshold episode_id onset text',
    }
    built = getattr(msg, name).get_fields_and_field_types()
    assert set(wanted[name].split()) <= set(built)
