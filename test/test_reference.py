# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Generated files are up to date: parameter files of the nodes and the reference pages."""

from pathlib import Path

import pytest
import yaml

from scripts.reference_pages import __main__ as reference
from scripts.reference_pages import config, interfaces
from viva_ros.core.settings import flatten
from viva_ros.nodes.settings import SETTINGS

ROOT = Path(__file__).parents[1]
COMMANDS = 'docs/reference/commands.md'  # imports every command, also torch
REMEDY = 'run scripts/reference'


@pytest.mark.parametrize('name', [name for name in reference.FILES if name != COMMANDS])
def test_generated_file_is_up_to_date(name):
    assert reference.difference(ROOT / name, reference.FILES[name]()) == '', REMEDY


@pytest.mark.slow
def test_page_of_commands_is_up_to_date():
    assert reference.difference(ROOT / COMMANDS, reference.FILES[COMMANDS]()) == '', REMEDY


def test_check_of_stale_file_prints_diff_and_exits_1(tmp_path, capsys):
    (tmp_path / 'a.yaml').write_text('rate: 5.0\n', encoding='utf-8')
    files = {'a.yaml': lambda: 'rate: 10.0\n', 'new/b.md': lambda: '# B\n'}
    assert reference.main(['--check'], tmp_path, files) == 1
    shown = capsys.readouterr()
    assert '-rate: 5.0\n+rate: 10.0\n' in shown.out and '+# B\n' in shown.out
    assert shown.err == '2 generated files are stale: run scripts/reference\n'
    assert not (tmp_path / 'new').exists()


def test_written_files_pass_the_check(tmp_path):
    files = {'a.yaml': lambda: 'rate: 10.0\n', 'new/b.md': lambda: '# B\n'}
    assert reference.main([], tmp_path, files) == 0
    assert (tmp_path / 'new' / 'b.md').read_text(encoding='utf-8') == '# B\n'
    assert reference.main(['--check'], tmp_path, files) == 0


@pytest.mark.parametrize('node', SETTINGS)
def test_parameter_comment_has_sentence_range_default(node):
    lines = config.make(node).splitlines()
    for info in flatten(SETTINGS[node]):
        name = info.name.rpartition('.')[2]
        place = next(i for i, line in enumerate(lines) if line.lstrip().startswith(f'{name}: '))
        above = ' '.join(line.strip(' #') for line in lines[:place])
        assert above.endswith(config.describe(info)), info.name
        lines = lines[place + 1 :]


def test_comment_names_unit_bounds_and_live_change():
    infos = {info.name: info for info in flatten(SETTINGS['supervisor'])}
    assert config.describe(infos['retry.budget']).endswith(
        'At least 0. May change while configured. Default: 2'
    )
    assert "One of 'trigger', 'action', 'cancel'." in config.describe(infos['retry.by'])


@pytest.mark.parametrize('node', ['monitor', 'supervisor'])
def test_parameter_file_says_that_it_is_advisory(node):
    head = ' '.join(line.strip('# ') for line in config.make(node).splitlines()[:6])
    assert 'not a safety function' in head and 'silence is no evidence of safety' in head


@pytest.mark.parametrize(
    'value', [True, 0, 10.0, '', 'auto', 'true', '1', '~/a b', ('',), ('a', 'b: c')]
)
def test_written_scalar_is_read_back(value):
    plain = list(value) if isinstance(value, tuple) else value
    assert yaml.safe_load(config.scalar(value)) == plain


def test_message_line_without_field_is_refused(tmp_path):
    for folder in interfaces.PARTS:
        (tmp_path / folder).mkdir()
    (tmp_path / 'msg' / 'A.msg').write_text('# A.\n\nfloat32\n', encoding='utf-8')
    with pytest.raises(ValueError, match='neither a field nor a constant'):
        interfaces.make(tmp_path)
