# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Launch arguments: shown with the defaults that hold, checked, and laid over each other."""

import os
import re
from pathlib import Path

import pytest
import yaml

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
    """Return the parameters that each node is started with."""
    files, _ = parameter_files(check_arguments(launch, given), namespace)
    return {
        name: yaml.safe_load(path.read_text())['/**']['ros__parameters']
        for name, path in files.items()
    }


def refusal(launch: str, **given: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parameter_files(check_arguments(launch, given), '/')
    return str(caught.value)


@pytest.fixture
def params(tmp_path) -> Path:
    path = tmp_path / 'mine.yaml'
    path.write_text(
        'monitor: {ros__parameters: {task: fold, sync: {slop: 0.5}}}\n'
        'supervisor: {ros__parameters: {retry: {dry_run: true}}}\n'
    )
    return path


# Shown.


def test_defaults_and_choices_are_those_of_the_parameters():
    shown = {argument.name: argument for argument in arguments('monitor')}
    assert shown['task'].default == MonitorSettings().task
    assert shown['dry_run'].default == 'true' and shown['dry_run'].choices == ('true', 'false')
    assert shown['transport'].choices == ('raw', 'compressed')
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


def test_the_documented_parameter_file_is_one(tmp_path):
    block = re.search(r'```yaml\n(monitor:.*?)```', DOCS.read_text(), re.DOTALL)
    (tmp_path / 'robot.yaml').write_text(block[1])
    given = {'params_file': str(tmp_path / 'robot.yaml')}
    left = values('monitor', given, '/left')
    assert (left['monitor']['transport'], left['monitor']['sync.slop']) == ('raw', 0.02)
    assert (left['monitor']['rate'], values('monitor', given)['monitor']['rate']) == (5.0, 10.0)
    assert left['supervisor']['robot.executing_topic'] == 'executing'


# Checked.


def test_an_unknown_argument_is_named_with_the_nearest_known_one():
    assert refusal('monitor', enigne='x') == (
        "monitor has no argument 'enigne': is 'engine' meant?"
    )
    assert "no argument 'sped': must be one of namespace, params_file" in refusal(
        'monitor', sped='1'
    )
    assert "no argument 'seed'" in refusal('monitor', seed='1'), 'of the demo alone'


def test_an_argument_of_an_earlier_version_is_named_with_what_to_use():
    assert refusal('monitor', config='/x') == (
        "monitor has no argument 'config': use 'params_file', one YAML file with a section for "
        'each node'
    )
    assert 'a folder is black_box_folder' in refusal('monitor', black_box='/tmp/box')


def test_the_demo_has_no_simulated_time(tmp_path):
    assert 'has no /clock' in refusal('demo', use_sim_time='true')
    (tmp_path / 'all.yaml').write_text('/**: {ros__parameters: {use_sim_time: true}}')
    given = {'params_file': str(tmp_path / 'all.yaml')}
    assert "all.yaml sets 'use_sim_time' in demo: the simulated robot" in refusal('demo', **given)
    assert values('monitor', given)['monitor']['use_sim_time'] is True


@pytest.mark.parametrize(
    ('given', 'said'),
    [
        ({'transport': 'rwa'}, "transport is 'rwa', must be one of 'raw', 'compressed'"),
        ({'dry_run': 'maybe'}, "dry_run is 'maybe', must be one of 'true', 'false'"),
        ({'log_level': 'loud'}, "log_level is 'loud', must be one of 'debug'"),
        ({'seed': 'x'}, "seed is 'x', must be a whole number"),
        ({'seed': '-1'}, 'seed is -1, must be at least 0'),
        ({'namespace': 'a-b'}, "namespace is 'a-b', must be names of letters"),
        ({'params_file': '/nowhere.yaml'}, "params_file is '/nowhere.yaml', must be a file"),
        ({'params_file': '/tmp'}, 'must be a file: write its files as sections of one'),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_before_anything_starts(given, said):
    assert said in refusal('demo', **given)


@pytest.mark.parametrize(
    'namespace', ['', '/', 'cell', '/cell', 'cell/left', '/cell/left/', '_a1']
)
def test_namespaces_of_ros_are_taken(namespace):
    assert check_arguments('monitor', {'namespace': namespace}).values['namespace'] == namespace


def test_paths_are_made_absolute_and_others_left_alone(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('HOME', '/home/someone')
    given = {'engine': '~/mine', 'calibration': 'here.json', 'engine_server': 'auto'}
    taken = check_arguments('monitor', given).values
    assert taken['engine'] == '/home/someone/mine'
    assert taken['calibration'] == str(tmp_path / 'here.json')
    assert taken['engine_server'] == 'auto'


# Laid over each other.


def test_what_was_not_given_does_not_hide_the_parameter_file(params):
    found = values('monitor', {'params_file': str(params)})
    assert found['monitor']['task'] == 'fold' and found['monitor']['sync.slop'] == 0.5
    assert found['supervisor']['task'] == SupervisorSettings().task, 'its section has none'
    assert found['monitor']['rate'] == MonitorSettings().rate


def test_what_was_given_counts_more_than_the_file_and_for_every_node(params):
    given = {'params_file': str(params), 'task': '5', 'dry_run': 'False', 'use_sim_time': 'true'}
    found = values('monitor', given)
    assert found['monitor']['task'] == found['supervisor']['task'] == '5'
    assert found['supervisor']['retry.dry_run'] is False
    assert found['monitor']['use_sim_time'] is found['black_box']['use_sim_time'] is True
    assert 'use_sim_time' not in values('monitor', {})['monitor']


def test_a_default_of_the_demo_counts_less_than_the_file(params):
    assert values('demo', {})['supervisor']['retry.dry_run'] is False
    assert values('demo', {'seed': '3'})['sim']['seed'] == 3
    given = {'params_file': str(params)}
    assert values('demo', given)['supervisor']['retry.dry_run'] is True


def test_an_empty_text_is_as_good_as_nothing(params):
    given = {'params_file': str(params), 'task': '', 'engine': ''}
    assert values('monitor', given)['monitor']['task'] == 'fold'


def test_the_black_box_can_be_left_out():
    assert set(values('monitor', {'black_box': 'false'})) == {'monitor', 'supervisor'}


def test_a_file_for_none_of_the_nodes_is_refused_with_its_sections(tmp_path):
    path = tmp_path / 'other.yaml'
    path.write_text('/left/monitor: {ros__parameters: {task: fold}}')
    options = check_arguments('monitor', {'params_file': str(path)})
    with pytest.raises(ConfigurationError, match=r'/right/monitor.*sections: /left/monitor'):
        parameter_files(options, '/right')
    assert parameter_files(options, '/left')[1] == []


def test_a_section_that_is_not_used_is_told(tmp_path):
    path = tmp_path / 'other.yaml'
    path.write_text(
        '/**: {ros__parameters: {task: fold}}\n'
        '/left/monitor: {ros__parameters: {rate: 5.0}}\n'
        'supervisr: {ros__parameters: {task: fold}}\n'
        'controller_server: {ros__parameters: {rate: 5.0}}\n'
    )
    _, notes = parameter_files(check_arguments('monitor', {'params_file': str(path)}), '/')
    assert notes == [
        f'{path}: /left/monitor is not for /monitor',
        f"{path}: section 'supervisr' is for no node: is 'supervisor' meant?",
    ]


# Environment.


def test_the_profile_is_added_unless_the_user_has_set_one(monkeypatch):
    monkeypatch.delenv(PROFILE_VARIABLE, raising=False)
    assert Path(added_environment()[PROFILE_VARIABLE]).is_file()
    assert PROFILE_VARIABLE not in os.environ, 'what is started later is not to have it'
    monkeypatch.setenv(PROFILE_VARIABLE, '/mine.xml')
    assert PROFILE_VARIABLE not in added_environment()
