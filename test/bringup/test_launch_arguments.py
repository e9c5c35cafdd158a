# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Launch arguments: defaults, checks, and their priority over parameter files."""

import os
import re
from pathlib import Path

import pytest
import yaml
from support.errors import raises

from viva_ros.bringup.launch_arguments import (
    added_environment,
    arguments,
    check_arguments,
    parameter_files,
)
from viva_ros.core.errors import ConfigurationError
from viva_ros.nodes.registry import LAUNCHES, PROFILE_VARIABLE
from viva_ros.nodes.settings import MonitorSettings, SupervisorSettings

DOCS = Path(__file__).parents[2] / 'docs' / 'launch.md'


def values(launch: str, given: dict[str, str], namespace: str = '/') -> dict[str, dict]:
    """Return the parameters of each node at its start."""
    files, _ = parameter_files(check_arguments(launch, given), namespace)
    return {
        name: yaml.safe_load(path.read_text())['/**']['ros__parameters']
        for name, path in files.items()
    }


def read(launch: str, **given: str) -> None:
    parameter_files(check_arguments(launch, given), '/')


@pytest.fixture
def params(tmp_path) -> Path:
    path = tmp_path / 'mine.yaml'
    path.write_text(
        'monitor: {ros__parameters: {task: fold, sync: {slop: 0.5}}}\n'
        'supervisor: {ros__parameters: {retry: {dry_run: true}}}\n'
    )
    return path


# Defaults.


def test_defaults_and_choices_are_those_of_the_parameters():
    shown = {argument.name: argument for argument in arguments('monitor')}
    assert shown['task'].default == MonitorSettings().task
    assert shown['dry_run'].default == 'true' and shown['dry_run'].choices == ('true', 'false')
    assert shown['transport'].choices == ('raw', 'compressed', 'ffmpeg', 'foxglove')
    assert shown['black_box_folder'].default == '~/.ros/viva_black_box'
    assert {argument.name: argument.default for argument in arguments('demo')}[
        'dry_run'
    ] == 'false'


@pytest.mark.parametrize('launch', LAUNCHES)
def test_every_argument_has_a_sentence_and_a_default(launch):
    for argument in arguments(launch):
        assert argument.doc.endswith('.') and argument.default is not None, argument.name
        assert not argument.choices or argument.default in argument.choices


def test_the_documentation_lists_every_argument_with_its_default():
    rows = [line.split('|') for line in DOCS.read_text().splitlines() if line.startswith('| `')]
    listed = {}
    for _, names, defaults, _, _ in rows:
        values = [text.strip(' `') for text in defaults.partition('; demo')[0].split(',')]
        listed |= dict(zip(names.strip(' `').split('`, `'), values, strict=True))
    shown = {a.name: a.default for launch in LAUNCHES for a in arguments(launch)}
    shown |= {argument.name: argument.default for argument in arguments('monitor')}
    assert {name: text.replace('empty', '').strip('`') for name, text in listed.items()} == shown


def test_documented_parameter_file_is_valid(tmp_path):
    block = re.search(r'```yaml\n((?:#[^\n]*\n)*monitor:.*?)```', DOCS.read_text(), re.DOTALL)
    (tmp_path / 'robot.yaml').write_text(block[1])
    given = {'params_file': str(tmp_path / 'robot.yaml')}
    left = values('monitor', given, '/left')
    assert (left['monitor']['transport'], left['monitor']['sync.slop']) == ('raw', 0.02)
    assert (left['monitor']['rate'], values('monitor', given)['monitor']['rate']) == (5.0, 10.0)
    assert left['supervisor']['robot.executing_topic'] == 'executing'


# Checks.


def test_unknown_argument_error_names_nearest_argument():
    with raises('launch-argument-unknown', 'monitor', "'enigne'", "'engine'"):
        read('monitor', enigne='x')
    with raises('launch-argument-unknown', "'sped'", 'namespace, params_file'):
        read('monitor', sped='1')
    with raises('launch-argument-unknown', "'seed'"):  # an argument of the demo only
        read('monitor', seed='1')


def test_removed_argument_error_names_replacement():
    with raises('launch-argument-removed', 'monitor', "'config'", "'params_file'"):
        read('monitor', config='/x')
    with raises('launch-argument-choice', '/tmp/box', 'black_box_folder'):
        read('monitor', black_box='/tmp/box')


def test_demo_rejects_simulated_time(tmp_path):
    with raises('launch-argument-removed', "'use_sim_time'", '/clock'):
        read('demo', use_sim_time='true')
    (tmp_path / 'all.yaml').write_text('/**: {ros__parameters: {use_sim_time: true}}')
    given = {'params_file': str(tmp_path / 'all.yaml')}
    with raises('launch-parameter-unavailable', 'all.yaml', "'use_sim_time'", 'demo'):
        read('demo', **given)
    assert values('monitor', given)['monitor']['use_sim_time'] is True


@pytest.mark.parametrize(
    ('name', 'value', 'code', 'valid'),
    [
        ('transport', 'rwa', 'launch-argument-choice', "'raw', 'compressed'"),
        ('dry_run', 'maybe', 'launch-argument-choice', "'true', 'false'"),
        ('log_level', 'loud', 'launch-argument-choice', "'debug'"),
        ('namespace', 'a-b', 'namespace-invalid', 'letters, digits and _'),
        ('params_file', '/nowhere.yaml', 'parameter-file-missing', 'a file'),
        ('params_file', '/tmp', 'parameter-file-missing', 'one section for each node'),
    ],
)
def test_invalid_argument_value_fails_before_start(name, value, code, valid):
    with raises(code, f'{name} is {value!r}', valid):
        read('demo', **{name: value})


@pytest.mark.parametrize(('value', 'valid'), [('x', 'a whole number'), ('-1', 'at least 0')])
def test_invalid_number_fails_before_start(value, valid):
    with pytest.raises(ConfigurationError, match=f'seed is .*{value}.*, must be {valid}'):
        read('demo', seed=value)


@pytest.mark.parametrize(
    'namespace', ['', '/', 'cell', '/cell', 'cell/left', '/cell/left/', '_a1']
)
def test_valid_namespaces_are_accepted(namespace):
    assert check_arguments('monitor', {'namespace': namespace}).values['namespace'] == namespace


def test_paths_are_made_absolute_and_others_left_alone(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('HOME', '/home/someone')
    given = {'engine': '~/mine', 'calibration': 'here.json', 'engine_server': 'auto'}
    values = check_arguments('monitor', given).values
    assert values['engine'] == '/home/someone/mine'
    assert values['calibration'] == str(tmp_path / 'here.json')
    assert values['engine_server'] == 'auto'


# Priority.


def test_default_argument_does_not_override_file(params):
    found = values('monitor', {'params_file': str(params)})
    assert found['monitor']['task'] == 'fold' and found['monitor']['sync.slop'] == 0.5
    assert found['supervisor']['task'] == SupervisorSettings().task, 'its section has none'
    assert found['monitor']['rate'] == MonitorSettings().rate


def test_argument_overrides_file_for_every_node(params):
    given = {'params_file': str(params), 'task': '5', 'dry_run': 'False', 'use_sim_time': 'true'}
    found = values('monitor', given)
    assert found['monitor']['task'] == found['supervisor']['task'] == '5'
    assert found['supervisor']['retry.dry_run'] is False
    assert found['monitor']['use_sim_time'] is found['black_box']['use_sim_time'] is True
    assert 'use_sim_time' not in values('monitor', {})['monitor']


def test_demo_default_does_not_override_file(params):
    assert values('demo', {})['supervisor']['retry.dry_run'] is False
    assert values('demo', {'seed': '3'})['sim']['seed'] == 3
    given = {'params_file': str(params)}
    assert values('demo', given)['supervisor']['retry.dry_run'] is True


def test_empty_argument_means_default(params):
    given = {'params_file': str(params), 'task': '', 'engine': ''}
    assert values('monitor', given)['monitor']['task'] == 'fold'


def test_black_box_argument_disables_the_node():
    assert set(values('monitor', {'black_box': 'false'})) == {'monitor', 'supervisor'}


def test_file_without_matching_section_fails(tmp_path):
    path = tmp_path / 'other.yaml'
    path.write_text('/left/monitor: {ros__parameters: {task: fold}}')
    options = check_arguments('monitor', {'params_file': str(path)})
    with raises('parameter-file-unused', str(path), '/right/monitor', '/left/monitor'):
        parameter_files(options, '/right')
    assert parameter_files(options, '/left')[1] == []


def test_unused_section_is_reported(tmp_path):
    path = tmp_path / 'other.yaml'
    path.write_text(
        '/**: {ros__parameters: {task: fold}}\n'
        '/left/monitor: {ros__parameters: {rate: 5.0}}\n'
        'supervisr: {ros__parameters: {task: fold}}\n'
        'controller_server: {ros__parameters: {rate: 5.0}}\n'
    )
    _, notes = parameter_files(check_arguments('monitor', {'params_file': str(path)}), '/')
    assert notes == [
        f'{path}: /left/monitor does not apply to /monitor',
        f"{path}: section 'supervisr' applies to no node: is 'supervisor' meant?",
    ]


# Environment.


def test_the_profile_is_added_unless_the_user_has_set_one(monkeypatch):
    monkeypatch.delenv(PROFILE_VARIABLE, raising=False)
    assert Path(added_environment()[PROFILE_VARIABLE]).is_file()
    assert PROFILE_VARIABLE not in os.environ, 'the environment of this process is unchanged'
    monkeypatch.setenv(PROFILE_VARIABLE, '/mine.xml')
    assert PROFILE_VARIABLE not in added_environment()
