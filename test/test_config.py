# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Configuration files: keys are the declared parameters, values are valid."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from viva_ros.bringup.launch_arguments import arguments
from viva_ros.core.settings import flatten, unflatten, validate
from viva_ros.nodes.registry import LAUNCHES, PROFILE
from viva_ros.nodes.settings import RENAMED, SETTINGS

CONFIG = Path(__file__).parents[1] / 'config'


def parameters(name: str) -> dict[str, object]:
    """Return the parameters in a file by dotted name."""
    found: dict[str, object] = {}

    def collect(content: dict[str, object], prefix: str) -> None:
        for key, value in content.items():
            if isinstance(value, dict):
                collect(value, f'{prefix}{key}.')
            else:
                found[prefix + key] = tuple(value) if isinstance(value, list) else value

    content = yaml.safe_load((CONFIG / f'{name}.yaml').read_text(encoding='utf-8'))
    collect(content['/**']['ros__parameters'], '')
    return found


@pytest.mark.parametrize('name', SETTINGS)
def test_keys_equal_declared_parameters(name):
    assert list(parameters(name)) == [declared.name for declared in flatten(SETTINGS[name])]


@pytest.mark.parametrize('name', SETTINGS)
def test_values_are_the_defaults_of_the_code(name):
    settings = unflatten(SETTINGS[name], parameters(name))
    validate(settings)
    assert settings == SETTINGS[name]


def test_supervisor_requests_no_retry_by_default():
    assert parameters('supervisor')['retry.dry_run'] is True
    shown = {launch: {a.name: a.default for a in arguments(launch)} for launch in LAUNCHES}
    assert (shown['monitor']['dry_run'], shown['demo']['dry_run']) == ('true', 'false')


@pytest.mark.parametrize('launch', LAUNCHES)
def test_programs_name_existing_files_and_parameters(launch):
    programs, own = LAUNCHES[launch]
    names = {argument.name for argument in own}
    for program in programs:
        declared = parameters(program.name).keys() | {'use_sim_time'}
        assert set(program.parameters.values()) <= declared
        assert {*program.parameters, program.switch} <= names | {'use_sim_time', ''}
        assert (CONFIG.parent / 'viva_ros' / 'nodes' / f'{program.name}.py').is_file()


def test_every_launch_argument_is_used():
    general = {'namespace', 'params_file', 'log_level', 'respawn'}
    for programs, own in LAUNCHES.values():
        used = {name for one in programs for name in (*one.parameters, one.switch)}
        assert {argument.name for argument in own} - used == general


def test_renamed_parameter_is_replaced_by_existing_one():
    declared = {info.name for one in SETTINGS.values() for info in flatten(one)}
    for old, new in RENAMED.items():
        assert old not in declared
        named = any(f"'{name}: " in new for name in declared)
        assert named or new.startswith("'viva "), new  # or by an option of a command


def test_diagnostics_are_grouped_by_node_in_any_namespace():
    content = yaml.safe_load((CONFIG / 'diagnostics.yaml').read_text(encoding='utf-8'))
    groups = content['/**']['ros__parameters']
    for node in ('monitor', 'supervisor', 'black_box'):
        assert groups[node]['type'] == 'diagnostic_aggregator/GenericAnalyzer'
        (part,) = groups[node]['contains']  # diagnostic_aggregator looks for it anywhere
        for namespace in ('', '/left', '/cell/right'):
            assert part in f'{namespace}/{node}: engine'
        assert part not in f'/joint_{node}: engine' and part not in f'/{node}_2: engine'


def test_fast_dds_profile_has_room_for_images():
    tree = ElementTree.parse(CONFIG / PROFILE)
    sizes = [int(e.text) for e in tree.iter() if e.tag.endswith('segment_size')]
    three_vga_images = 3 * 640 * 480 * 3
    assert sizes and sizes[0] >= 10 * three_vga_images
