# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The point cloud of values: of a real monitor over DDS, and compared with sensor_msgs_py."""

import math

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import String
from support.ros import wait

from viva_ros.core.observation import Estimate
from viva_ros.core.trajectory_cloud import FIELDS, CloudSettings
from viva_ros.msg import Value
from viva_ros.nodes import qos
from viva_ros.nodes.callback_groups import EventGroup
from viva_ros.nodes.convert import header
from viva_ros.nodes.diagnostics import Report
from viva_ros.nodes.value_cloud import ValueCloud, create_cloud, to_cloud

CAMERAS = ('head', 'left_wrist', 'right_wrist')
TWO_SLIDES = """
<robot name="two">
  <link name="base_link"/><link name="left"/><link name="right"/>
  <joint name="left_waist" type="prismatic"><parent link="base_link"/><child link="left"/></joint>
  <joint name="right_waist" type="prismatic">
    <parent link="base_link"/><child link="right"/><origin xyz="0 1 0"/>
  </joint>
</robot>
"""


def points(cloud: PointCloud2) -> np.ndarray:
    """Read a cloud as a viewer does, by the offsets of its fields; (N, 7)."""
    assert (cloud.height, cloud.is_bigendian, cloud.is_dense) == (1, False, False)
    assert cloud.row_step == cloud.width * cloud.point_step == len(cloud.data)
    kind = np.dtype({
        'names': [field.name for field in cloud.fields],
        'formats': ['<f4' for _ in cloud.fields],
        'offsets': [field.offset for field in cloud.fields],
        'itemsize': cloud.point_step,
    })  # fmt: skip
    read = np.frombuffer(cloud.data, kind)
    return np.array([read[name] for name in FIELDS]).T


@pytest.fixture
def watch(processes, listener, tmp_path):
    """Return a function that starts cameras, joints and a monitor with parameters of the cloud."""

    def start(*parameters: str) -> None:
        (tmp_path / 'level').write_text('160')
        processes.start('fake_source.py', tmp_path, *CAMERAS, 'joint_states')
        arguments = [word for text in parameters for word in ('-p', text)]
        processes.start('fake_monitor.py', '--ros-args', '-p', 'transport:=raw', *arguments)

    return start


def entries(diagnoses, name: str):
    return [status for d in list(diagnoses) for status in d.status if status.name == name]


def test_each_value_is_a_point_at_the_gripper_pose(watch, listener):
    values = listener.listen(Value, 'value', qos.RELIABLE)
    clouds = listener.listen(PointCloud2, 'value_cloud', qos.RELIABLE)
    diagnoses = listener.listen(DiagnosticArray, '/diagnostics', qos.RELIABLE)
    description = listener.create_publisher(String, 'robot_description', qos.LATCHED)
    description.publish(String(data=TWO_SLIDES))
    watch("cloud.frames:=['left','right']")

    def shared() -> list[tuple[float, float]]:
        """Return the values in the cloud and on the topic, for the stamps of both."""
        if not clouds or clouds[-1].width <= 20:
            return []
        told = {
            round(v.positions[list(v.joint_names).index('left_waist')], 4): v.value
            for v in list(values) if v.status == Value.STATUS_OK
        }  # fmt: skip
        left = {round(float(p[0]), 4): float(p[3]) for p in points(clouds[-1])[::2]}
        return [(left[x], told[x]) for x in left.keys() & told.keys()]

    wait(lambda: len(shared()) > 5, 'points')
    assert all(abs(drawn - told) < 1e-6 for drawn, told in shared())
    cloud = clouds[-1]
    assert cloud.header.frame_id == 'base_link'
    assert [field.name for field in cloud.fields] == list(FIELDS)
    drawn = points(cloud)
    assert (drawn[::2, 1] == 0.0).all() and (drawn[1::2, 1] == 1.0).all()
    assert np.isnan(drawn[:, 4:]).all(), 'this engine estimates neither progress nor success'

    def diagnosed() -> bool:
        found = entries(diagnoses, '/monitor: value_cloud')
        return bool(found) and found[-1].level == DiagnosticStatus.OK

    wait(diagnosed, 'a diagnosis of the cloud')
    assert entries(diagnoses, '/monitor: value_cloud')[-1].message == 'published'


def test_unknown_frame_is_left_out_and_diagnosed(watch, listener):
    clouds = listener.listen(PointCloud2, 'value_cloud', qos.RELIABLE)
    diagnoses = listener.listen(DiagnosticArray, '/diagnostics', qos.RELIABLE)
    watch("cloud.frames:=['left','nowhere']")

    def warned(text: str) -> bool:
        found = entries(diagnoses, '/monitor: value_cloud')
        return any(e.level == DiagnosticStatus.WARN and text in e.message for e in found)

    wait(lambda: warned('nothing received on /robot_description'), 'the lack of a description')
    wait(lambda: clouds, 'a cloud')
    assert not clouds[-1].width
    description = listener.create_publisher(String, 'robot_description', qos.LATCHED)
    description.publish(String(data='<robot'))
    wait(lambda: warned('/robot_description cannot be read: it is no XML'), 'the damage')
    description.publish(String(data=TWO_SLIDES))
    wait(lambda: warned("there is no link 'nowhere'"), 'the name')
    wait(lambda: clouds[-1].width > 5, 'points')
    assert (points(clouds[-1])[:, 1] == 0.0).all(), 'only the known frame has points'


def test_cloud_without_subscriber_is_not_computed(listener):
    cloud = ValueCloud(listener, CloudSettings(), EventGroup())
    cloud.add(Estimate(0.5, {}), 1, 'e', {'a': 0.0})
    cloud.publish(2)
    report = Report('/monitor', '/')
    cloud.diagnose(report)
    assert not report.message(header(0).stamp).status
    assert cloud._count == 0
    cloud.destroy()


@pytest.mark.parametrize(('episode_only', 'values'), [(True, [0.3]), (False, [0.1, 0.2, 0.3])])
def test_cloud_is_cleared_at_the_start_of_an_episode(listener, episode_only, values):
    clouds = listener.listen(PointCloud2, 'value_cloud', qos.RELIABLE)
    description = listener.create_publisher(String, 'robot_description', qos.LATCHED)
    description.publish(String(data=TWO_SLIDES))
    settings = CloudSettings(frames=('left',), episode_only=episode_only)
    cloud = ValueCloud(listener, settings, MutuallyExclusiveCallbackGroup())
    second = 1_000_000_000  # ns

    def drawn(stamp: int) -> list[float]:
        cloud.publish(stamp)
        return [round(float(value), 3) for value in points(clouds[-1])[:, 3]] if clouds else []

    for number, value in ((1, 0.1), (2, 0.2)):
        cloud.add(Estimate(value, {}), number * second, 'first', {'left_waist': value})
    wait(lambda: drawn(2 * second) == [0.1, 0.2], 'the first episode')
    cloud.add(Estimate(0.3, {}), 3 * second, 'second', {'left_waist': 0.3})
    wait(lambda: drawn(3 * second) == values, 'the second episode')
    cloud.destroy()


def test_empty_cloud_is_a_valid_message():
    cloud = to_cloud(np.empty((0, 7)), header(5, 'base_link'))
    assert (cloud.width, cloud.point_step, len(cloud.data)) == (0, 28, 0)


@pytest.mark.skipif(
    create_cloud is None, reason='sensor_msgs_py is not installed: it has no wheel'
)
@pytest.mark.parametrize('count', [1, 2, 1000])
def test_own_cloud_equals_sensor_msgs_py(count):
    rows = np.random.default_rng(count).normal(size=(count, 7))
    rows[0, 6] = math.nan
    theirs = to_cloud(rows, header(5, 'base_link'), create_cloud)
    ours = to_cloud(rows, header(5, 'base_link'), None)
    assert bytes(theirs.data) == bytes(ours.data)
    for name in theirs.get_fields_and_field_types():
        assert name == 'data' or getattr(theirs, name) == getattr(ours, name), name
