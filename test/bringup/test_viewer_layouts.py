# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Viewer layouts against the live graph of the demo: each topic, its type and its fields.

These viewers have no wheels, so no layout is opened: the tests check that layouts parse and that
their topics and fields exist.
"""

import ast
import json
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import pytest
import yaml
from sensor_msgs.msg import JointState, PointCloud2
from support.ros import wait

from viva_ros.bringup.ghost import NAME as GHOST
from viva_ros.bringup.processes import started
from viva_ros.core.trajectory_cloud import FIELDS
from viva_ros.nodes import qos

CONFIG = Path(__file__).parents[2] / 'config'
FILES = ('viva.rviz', 'foxglove_layout.json', 'plotjuggler.xml', 'viva.perspective')
RVIZ_TYPES = {
    'Image': ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'),
    'MarkerArray': ('visualization_msgs/msg/MarkerArray',),
    'PointCloud2': ('sensor_msgs/msg/PointCloud2',),
    'RobotModel': ('std_msgs/msg/String',),
}
IMAGES = RVIZ_TYPES['Image']
JOINT_STATE = 'sensor_msgs/msg/JointState'
GHOST_DESCRIPTION = f'/{GHOST}/robot_description'  # of ghost.launch.py, not of the demo


class Use(NamedTuple):
    """One topic of a layout; ``types``: the types that its display supports, empty: any."""

    topic: str
    types: tuple[str, ...] = ()
    field: str = ''


def displays() -> list[dict[str, Any]]:
    content = yaml.safe_load((CONFIG / 'viva.rviz').read_text(encoding='utf-8'))
    return content['Visualization Manager']['Displays']


def of_rviz() -> Iterator[Use]:
    for display in displays():
        topic = display.get('Topic', display.get('Description Topic'))
        if topic is not None:
            kind = display['Class'].removeprefix('rviz_default_plugins/')
            yield Use('/' + topic['Value'], RVIZ_TYPES[kind])


def of_foxglove() -> Iterator[Use]:
    panels = json.loads((CONFIG / 'foxglove_layout.json').read_text(encoding='utf-8'))
    for name, panel in panels['configById'].items():
        for topic in panel.get('topics', {}):
            yield Use(topic)
        for path in panel.get('paths', ()):
            topic, field = re.fullmatch(r'(/\w+)(?:{\w+==\d+})?\.(.+)', path['value']).groups()
            yield Use(topic, field=field)
        if 'imageMode' in panel:
            yield Use(panel['imageMode']['imageTopic'], IMAGES)
        if name.startswith('RawMessages'):
            yield Use(panel['topicPath'])
        if name.startswith('DiagnosticSummary'):
            yield Use(panel['topicToRender'], ('diagnostic_msgs/msg/DiagnosticArray',))


def of_plotjuggler() -> Iterator[Use]:
    root = ElementTree.parse(CONFIG / 'plotjuggler.xml').getroot()
    made = {snippet.get('name') for snippet in root.iter('snippet')}
    series = [curve.get('name') for curve in root.iter('curve')]
    series += [source.text for source in root.iter('linked_source')]
    for name in series:
        if name not in made:
            _, topic, field = name.split('/', 2)
            yield Use('/' + topic, field=field)
    for element in (*root.iter('selected_topics'), *root.iter('parameters')):
        for topic in (element.get('value') or element.get('selected_topics')).split(';'):
            yield Use(topic)


def of_rqt() -> Iterator[Use]:
    manager = json.loads((CONFIG / 'viva.perspective').read_text(encoding='utf-8'))['groups'][
        'pluginmanager'
    ]
    for name, group in manager['groups'].items():
        keys = group['groups']['plugin']['keys']
        settings = {key: ast.literal_eval(value['repr']) for key, value in keys.items()}
        if name.startswith('plugin__rqt_plot__'):
            for path in settings['topics']:
                _, topic, field = path.split('/', 2)
                yield Use('/' + topic, field=field)
        else:
            yield Use(settings['topic'], IMAGES)


READERS = dict(zip(FILES, (of_rviz, of_foxglove, of_plotjuggler, of_rqt), strict=True))


def uses() -> list[tuple[str, Use]]:
    return [(file, use) for file, reader in READERS.items() for use in reader()]


def has_field(type_name: str, field: str) -> bool:
    """Return whether a message has a field, by its name with dots or slashes; [:] is any entry."""
    package, _, name = type_name.split('/')
    kind = getattr(import_module(f'{package}.msg'), name)
    first, *rest = re.split(r'[./]', field.replace('[:]', ''))
    fields = kind.get_fields_and_field_types()
    if first not in fields or not rest:
        return first in fields
    return has_field('/msg/'.join(fields[first].split('/')), '/'.join(rest))


@pytest.fixture
def demo(domain, tmp_path):
    """Start robot, monitor and supervisor as 'viva up demo' does."""
    with started('demo', {}, log_folder=tmp_path) as nodes:
        yield nodes


@pytest.mark.timeout(300)
def test_layout_topics_exist_on_the_live_graph(demo, listener):
    wanted = {use.topic for _, use in uses()} - {GHOST_DESCRIPTION}

    def missing() -> set[str]:
        return {topic for topic in wanted if not listener.count_publishers(topic)}

    measured = listener.listen(JointState, 'joint_states', qos.JOINTS)
    foreseen = listener.listen(JointState, 'future_joint_states', qos.RELIABLE)
    wait(lambda: not missing() or demo.ended(), 'all topics', 120.0)
    clouds = listener.listen(PointCloud2, 'value_cloud', qos.RELIABLE)
    wait(lambda: (measured and foreseen) or demo.ended(), 'joints and their forecast', 60.0)
    wait(lambda: (clouds and clouds[-1].width) or demo.ended(), 'points of both grippers', 60.0)
    assert not demo.ended() and not missing()
    types = dict(listener.get_topic_names_and_types())
    joints = {'/joint_states': measured[-1].name, '/future_joint_states': foreseen[-1].name}
    for file, use in uses():
        if use.topic == GHOST_DESCRIPTION:
            continue
        (type_name,) = types[use.topic]
        assert not use.types or type_name in use.types, f'{file}: {use.topic} is {type_name}'
        if type_name == JOINT_STATE and use.field:
            joint, field = use.field.split('/')
            assert field == 'position' and joint in joints[use.topic], f'{file}: {use}'
        elif use.field:
            assert has_field(type_name, use.field), f'{file}: {use.topic} has no {use.field}'


def test_has_field_follows_nested_messages():
    assert has_field('viva_ros/msg/Value', 'success_probability')
    assert has_field('viva_ros/msg/Value', 'header.stamp.sec')
    assert has_field('viva_ros/msg/Value', 'header/stamp/sec')
    assert has_field('viva_ros/msg/FutureProprioception', 'positions[:]')
    assert not has_field('viva_ros/msg/Value', 'worth')
    assert not has_field('viva_ros/msg/Value', 'header.worth')


@pytest.mark.parametrize('file', FILES)
def test_a_layout_shows_the_value(file):
    assert any(use.topic.startswith('/value') for use in READERS[file]())


def test_rviz_shows_all_visualizations_with_stock_displays():
    shown = {use.topic: use.types for use in of_rviz()}
    drawn = {'/value_plot', '/value_markers', '/value_cloud', '/robot_description'}
    assert drawn | {GHOST_DESCRIPTION} <= set(shown)
    cameras = [topic for topic in shown if 'image_raw' in topic]
    assert len(cameras) == 3 and all(topic.endswith('/compressed') for topic in cameras)
    assert {display['Class'].split('/')[0] for display in displays()} == {'rviz_default_plugins'}


def test_clouds_are_coloured_by_the_value_from_least_to_greatest():
    (cloud,) = [d for d in displays() if d['Class'].endswith('PointCloud2')]
    assert (cloud['Color Transformer'], cloud['Channel Name']) == ('Intensity', 'value')
    assert not cloud['Autocompute Intensity Bounds']
    assert (cloud['Min Intensity'], cloud['Max Intensity']) == (-1, 1)
    panels = json.loads((CONFIG / 'foxglove_layout.json').read_text(encoding='utf-8'))
    cloud = panels['configById']['3D!vivascene']['topics']['/value_cloud']
    assert cloud['colorField'] in FIELDS and (cloud['minValue'], cloud['maxValue']) == (-1, 1)


def test_the_ghost_in_rviz_has_the_prefix_of_its_launch_file():
    (ghost,) = [d for d in displays() if d.get('TF Prefix')]
    assert ghost['TF Prefix'] == GHOST
    assert ghost['Description Topic']['Value'] == GHOST_DESCRIPTION[1:]


def test_every_panel_of_foxglove_has_a_place():
    layout = json.loads((CONFIG / 'foxglove_layout.json').read_text(encoding='utf-8'))

    def panels(node: Any) -> list[str]:
        return [node] if isinstance(node, str) else panels(node['first']) + panels(node['second'])

    assert sorted(panels(layout['layout'])) == sorted(layout['configById'])


def test_plotjuggler_marks_alarms_and_sizes_fit():
    root = ElementTree.parse(CONFIG / 'plotjuggler.xml').getroot()
    (alarm,) = root.iter('snippet')
    assert alarm.findtext('linked_source') == '/alert/level'
    assert any(curve.get('name') == alarm.get('name') for curve in root.iter('curve'))
    for splitter in root.iter('DockSplitter'):
        sizes = [float(size) for size in splitter.get('sizes').split(';')]
        assert len(sizes) == len(splitter) == int(splitter.get('count'))
        assert sum(sizes) == pytest.approx(1.0)
    # A colour map that the user does not have yet ends PlotJuggler 3.x (a null pointer).
    assert root.find('colorMaps') is None


def test_rqt_plugins_have_settings():
    manager = json.loads((CONFIG / 'viva.perspective').read_text(encoding='utf-8'))['groups'][
        'pluginmanager'
    ]
    running = ast.literal_eval(manager['keys']['running-plugins']['repr'])
    names = {
        f'plugin__{k.replace("/", "__")}__{n}' for k, numbers in running.items() for n in numbers
    }
    assert set(manager['groups']) <= names
