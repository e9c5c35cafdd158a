# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sections of parameter files match nodes as in rcl; later files override earlier ones."""

import os
from pathlib import Path

import pytest
import rclpy
import yaml
from rclpy.context import Context
from support.errors import raises

from viva_ros.bringup.launch_arguments import ParameterFile, matches, value_node, write
from viva_ros.core.errors import ConfigurationError

SECTIONS = """
/**: {ros__parameters: {a: 1}}
/**/monitor: {ros__parameters: {b: 2}}
/monitor: {ros__parameters: {c: 3}}
/cell/monitor: {ros__parameters: {d: 4}}
/*/monitor: {ros__parameters: {e: 5}}
cell: {monitor: {ros__parameters: {f: 6}}}
/cell/*: {ros__parameters: {g: 7}}
"""


def file(folder: Path, text: str) -> ParameterFile:
    path = folder / 'given.yaml'
    path.write_text(text)
    return ParameterFile(path)


def seen_by_rcl(path: Path, namespace: str) -> dict[str, object]:
    """Return the parameters that rclpy reads from a file."""
    context = Context()
    line = ['--ros-args', '-r', f'__ns:={namespace}', '--params-file', str(path)]
    rclpy.init(args=line, context=context)
    node = rclpy.create_node('monitor', context=context)
    given = {name: one.value for name, one in node._parameter_overrides.items()}
    node.destroy_node()
    rclpy.try_shutdown(context=context)
    return given


@pytest.mark.parametrize('namespace', ['/', '/cell', '/a/cell', '/cell/a'])
def test_sections_match_the_same_nodes_as_in_rcl(domain, tmp_path, namespace):
    given = file(tmp_path, SECTIONS)
    ours = given.of(f'{namespace.rstrip("/")}/monitor')
    assert set(ours) == set(seen_by_rcl(given.path, namespace))


def test_a_bare_name_is_for_a_node_in_any_namespace(tmp_path):
    given = file(tmp_path, 'monitor: {ros__parameters: {task: fold}}')
    assert set(given.of('/monitor')) == set(given.of('/cell/left/monitor')) == {'task'}
    assert given.of('/monitor_2') == given.of('/monitor/a') == {}
    assert not matches('/monitor', '/cell/monitor'), 'a name with a slash is absolute'


def test_section_for_other_namespace_is_found(tmp_path):
    given = file(tmp_path, '/left/monitor: {ros__parameters: {a: 1}}')
    assert given.elsewhere('/right/monitor') == ['/left/monitor']
    assert given.elsewhere('/left/monitor') == given.elsewhere('/right/supervisor') == []
    both = file(tmp_path, '{/left/monitor: &p {ros__parameters: {a: 1}}, /right/monitor: *p}')
    assert both.elsewhere('/right/monitor') == []


LAYER = """
monitor:
  ros__parameters:
    rate: 1e1
    task: '5'
    flag: on
    names: [a, 'b c']
    nothing: ['']
    sync: {slop: 0.5, deep: {er: 0x10}}
    long: a text that goes on and on and on and on and on and on and on and on and on and on and on
    half: &half 0.25
    other: *half
"""


def test_rcl_reads_same_types_and_values_from_written_file(domain, tmp_path):
    given = file(tmp_path, LAYER)
    write(tmp_path / 'out.yaml', [given.of('/cell/monitor')])
    assert seen_by_rcl(tmp_path / 'out.yaml', '/cell') == {
        'rate': 10.0, 'task': '5', 'flag': True, 'names': ['a', 'b c'], 'nothing': [''],
        'sync.slop': 0.5, 'sync.deep.er': 16, 'half': 0.25, 'other': 0.25,
        'long': ' '.join(['a text that goes', *['on and'] * 10, 'on']),
    }  # fmt: skip


def test_later_sections_and_later_layers_win(domain, tmp_path):
    given = file(
        tmp_path, 'monitor: {ros__parameters: {a: 1, b: 1}}\n/**: {ros__parameters: {b: 2}}'
    )
    top = {'a': value_node('on'), 'c': value_node(True), 'd': value_node(2.5), 'e': value_node(7)}
    write(tmp_path / 'out.yaml', [given.of('/monitor'), top])
    seen = seen_by_rcl(tmp_path / 'out.yaml', '/')
    assert seen == {'a': 'on', 'b': 2, 'c': True, 'd': 2.5, 'e': 7}


def test_rcl_reads_file_without_values(domain, tmp_path):
    write(tmp_path / 'out.yaml', [{}])
    assert seen_by_rcl(tmp_path / 'out.yaml', '/') == {}


#: Each name has twice the content of the one before.
LAUGHS = 'n0: &n0 {ros__parameters: {a: 1}}\n' + ''.join(
    f'n{k + 1}: &n{k + 1} {{a: *n{k}, b: *n{k}}}\n' for k in range(40)
)


@pytest.mark.parametrize(
    ('text', 'code', 'named'),
    [
        ('rate: 5', 'nesting', ["'rate'", 'NODE: {ros__parameters:']),
        ('monitor: {rate: 5}', 'nesting', ["'rate'", 'outside of ros__parameters']),
        ('- monitor', 'sections', ['NODE: {ros__parameters:']),
        ('', 'sections', []),
        ('monitor: {ros__parameters: [1]}', 'names', ['ros__parameters without names']),
        ('monitor: {ros__parameters: {[a]: 1}}', 'key', ['line 1']),
        ('a: {ros__parameters: {b.c: 1, b: {c: 2}}}', 'duplicate', ["'b.c'", 'line 1']),
        ('a: [', 'yaml', ['while parsing']),
        ('a: {b: ' * 3000, 'yaml', []),
        ('\x00', 'yaml', []),
        ('a' * ((1 << 20) + 1), 'size', [str(1 << 20)]),
        ('a: &a {b: *a}', 'yaml', ['*a refers to what it is in']),
        (LAUGHS, 'yaml', ['entries, with those of its aliases']),
    ],
)
def test_malformed_parameter_file_fails(tmp_path, text, code, named):
    with raises(f'parameter-file-{code}', 'given.yaml', *named, of=ConfigurationError):
        file(tmp_path, text)


def test_unreadable_parameter_file_fails(tmp_path):
    with raises('parameter-file-unreadable', 'none.yaml', 'No such file'):
        ParameterFile(tmp_path / 'none.yaml')
    (tmp_path / 'latin.yaml').write_bytes(b'a: \xe4')
    with raises('parameter-file-unreadable', 'latin.yaml'):
        ParameterFile(tmp_path / 'latin.yaml')
    os.mkfifo(tmp_path / 'pipe.yaml')
    with raises('parameter-file-unreadable', 'pipe.yaml', 'pipe'):  # it is not waited for
        ParameterFile(tmp_path / 'pipe.yaml')


def test_the_written_file_is_plain_yaml(tmp_path):
    write(tmp_path / 'out.yaml', [{'a.b': value_node('x')}])
    content = yaml.safe_load((tmp_path / 'out.yaml').read_text())
    assert content == {'/**': {'ros__parameters': {'a.b': 'x'}}}
