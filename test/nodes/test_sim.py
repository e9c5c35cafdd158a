# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node of the simulated robot, with robot and task of another package."""

from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import String
from support import sim_toys
from support.ros import wait

from viva_ros.msg import GroundTruth
from viva_ros.nodes import qos


def test_robot_of_another_package_runs_its_task_live(processes, listener, simulator, tmp_path):
    images = listener.listen(Image, 'top/image_raw', qos_profile_sensor_data)
    joints = listener.listen(JointState, 'joint_states', qos_profile_sensor_data)
    truths = listener.listen(GroundTruth, 'ground_truth', qos.RELIABLE)
    described = listener.listen(String, 'robot_description', qos.LATCHED)
    processes.start(
        'viva_ros.nodes', 'sim', '--ros-args', '-p', 'robot:=gantry', '-p', 'task:=touch_mat',
        '-p', 'autostart:=true', '-p', 'image_height:=32', '-p', 'image_width:=48',
        PYTHONPATH=sim_toys.install(tmp_path / 'site'),
    )  # fmt: skip
    wait(lambda: truths and truths[-1].success, 'the success')
    assert truths[-1].task == 'touch_mat'
    assert (images[0].height, images[0].width) == (32, 48)
    assert joints[0].name[3:5] == ['left_gripper', 'right_x']
    assert 'robot name="gantry"' in described[0].data
    change = Parameter('robot', value='viperx').to_parameter_msg()
    request = SetParameters.Request(parameters=[change])
    (result,) = listener.call(SetParameters, 'sim/set_parameters', request).results
    assert not result.successful
    assert result.reason == (
        "robot is 'gantry' and cannot change while the node runs: start the node with "
        'robot:=viperx'
    )
