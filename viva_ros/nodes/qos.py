# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The quality of service of each kind of topic, and the list of all topics, services and actions.

The reference page of topics is generated from this list, and a test compares it with what the
nodes create.
"""

from dataclasses import dataclass
from typing import Final

from rclpy.duration import Duration
from rclpy.qos import (
    DurabilityPolicy,
    LivelinessPolicy,
    QoSProfile,
    ReliabilityPolicy,
    qos_profile_sensor_data,
)

#: Images: only the newest counts.
IMAGE = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)

#: Joint states: a short history is kept, since they are matched to images by stamp.
JOINTS = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)

#: What is computed: none may be lost.
RELIABLE = QoSProfile(depth=10)

#: What still holds when someone subscribes late.
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)

#: For those who read what is latched: alerts may come in a burst.
LATCHED_READER = QoSProfile(depth=50, durability=DurabilityPolicy.TRANSIENT_LOCAL)

#: Who listens with this is told within a second that a node hangs or is gone.
HEARTBEAT = QoSProfile(
    depth=1,
    liveliness=LivelinessPolicy.MANUAL_BY_TOPIC,
    liveliness_lease_duration=Duration(seconds=1),
)

#: What a sensor driver publishes with: best effort, a short queue.
SENSOR = qos_profile_sensor_data


@dataclass(frozen=True)
class TopicInfo:
    """
    A topic of the nodes.

    :param name: relative to the namespace; '~/' stands for the node's name, {camera} for the name
        of each camera, any other {...} for the value of that parameter
    :param type: as in 'sensor_msgs/msg/Image'
    :param published: nodes that publish it, and with which QoS
    :param subscribed: nodes that subscribe to it; 'black_box' subscribes to all but the pictures
    :param rate: when it is published
    :param doc: one sentence
    """

    name: str
    type: str
    rate: str
    doc: str
    published: tuple[tuple[str, ...], QoSProfile] | None = None
    subscribed: tuple[tuple[str, ...], QoSProfile] | None = None


@dataclass(frozen=True)
class ServiceInfo:
    """
    A service or an action of the nodes.

    :param name: as in TopicInfo
    :param type: as in 'std_srvs/srv/Trigger'
    :param servers: nodes that offer it; none: the robot does
    :param clients: nodes that call it; none: whoever commands the robot does
    """

    name: str
    type: str
    doc: str
    servers: tuple[str, ...] = ()
    clients: tuple[str, ...] = ()


MANAGED: Final = ('monitor', 'supervisor', 'black_box')

TOPICS: Final = (
    TopicInfo(
        '{camera}/image_raw', 'sensor_msgs/msg/Image', 'of the camera',
        'Images, where the parameter transport is raw; named by camera_topics.',
        (('sim',), SENSOR), (('monitor',), IMAGE),
    ),
    TopicInfo(
        '{camera}/image_raw/compressed', 'sensor_msgs/msg/CompressedImage', 'of the camera',
        'JPEG images, where the parameter transport is compressed; named by camera_topics.',
        (('sim',), SENSOR), (('monitor',), IMAGE),
    ),
    TopicInfo(
        '{joint_states_topic}', 'sensor_msgs/msg/JointState', 'of the robot',
        'Positions of all joints of the engine, rad or m; joints are matched by name.',
        (('sim',), SENSOR), (('monitor',), JOINTS),
    ),
    TopicInfo(
        'value', 'viva_ros/msg/Value', 'parameter rate, 10 Hz',
        'V in [-1, 1], or unknown with a reason; the stamps of the inputs used.',
        (('monitor',), RELIABLE), (('supervisor',), RELIABLE),
    ),
    TopicInfo(
        'value_scalar', 'std_msgs/msg/Float32', 'as value, only while it is known',
        'V alone, for rqt_plot and PlotJuggler.', (('monitor',), RELIABLE),
    ),
    TopicInfo(
        'future_proprioception', 'viva_ros/msg/FutureProprioception', 'as value, while subscribed',
        'Joint positions predicted for one horizon ahead.', (('monitor',), RELIABLE),
    ),
    TopicInfo(
        'future_joint_states', 'sensor_msgs/msg/JointState', 'as value, while subscribed',
        'The same prediction, for a ghost robot in RViz.', (('monitor',), RELIABLE),
    ),
    TopicInfo(
        'value_plot', 'sensor_msgs/msg/Image', '2 Hz, while subscribed',
        'A plot of the last 20 s of the value.', (('monitor',), RELIABLE),
    ),
    TopicInfo(
        'value_markers', 'visualization_msgs/msg/MarkerArray', '2 Hz, while subscribed',
        'The value as a text and as a curve, for RViz.', (('monitor',), RELIABLE),
    ),
    TopicInfo(
        'value_cloud', 'sensor_msgs/msg/PointCloud2', '2 Hz, while subscribed',
        'The path of the grippers, with value, progress and success probability of each point.',
        (('monitor',), RELIABLE),
    ),
    TopicInfo(
        'robot_description', 'std_msgs/msg/String', 'once',
        'URDF, for value_cloud.', (('sim',), LATCHED), (('monitor',), LATCHED_READER),
    ),
    TopicInfo(
        'episode', 'viva_ros/msg/Episode', 'on change',
        'Episode under way: id, task, and whether the robot executes it.',
        (('supervisor',), LATCHED), (('monitor', 'supervisor', 'sim'), LATCHED_READER),
    ),
    TopicInfo(
        'alert', 'viva_ros/msg/Alert', 'on change',
        'A change of level: rule, statistic, threshold, onset and the samples that led to it.',
        (('supervisor',), LATCHED), (('monitor', 'supervisor'), LATCHED_READER),
    ),
    TopicInfo(
        'supervisor/state', 'viva_ros/msg/SupervisorState', 'on change',
        'The worst level that holds, its reason and since when; episode and retries.',
        (('supervisor',), LATCHED),
    ),
    TopicInfo(
        '{robot.executing_topic}', 'std_msgs/msg/Bool', 'at least every robot.word_timeout, 2 s',
        'True while the robot executes the task.',
        (('sim',), RELIABLE), (('supervisor',), RELIABLE),
    ),
    TopicInfo(
        '{robot.stopped_topic}', 'std_msgs/msg/Bool', 'at least every robot.word_timeout, 2 s',
        'True while the robot is stopped or at fault.', None, (('supervisor',), RELIABLE),
    ),
    TopicInfo(
        '{retry.name}/_action/status', 'action_msgs/msg/GoalStatusArray', 'on change',
        'Goals of the action that is cancelled, where the parameter retry.by is cancel.',
        None, (('supervisor',), LATCHED_READER),
    ),
    TopicInfo(
        '/diagnostics', 'diagnostic_msgs/msg/DiagnosticArray', '1 Hz',
        'Engine, inputs, value; level of the supervision; state of the black box.',
        (MANAGED, RELIABLE),
    ),
    TopicInfo(
        '~/heartbeat', 'std_msgs/msg/Header', '5 Hz, only while the node is well',
        'A subscriber with a liveliness lease of 1 s notices within that time that a node hangs.',
        (MANAGED, HEARTBEAT),
    ),
    TopicInfo(
        'bond', 'bond/msg/Status', '10 Hz, while active',
        'For nav2_lifecycle_manager, where the package bond is installed.',
        (MANAGED, QoSProfile(depth=5)),
    ),
    TopicInfo(
        'ground_truth', 'viva_ros/msg/GroundTruth', 'parameter camera_rate, 10 Hz',
        'Progress and failure of the simulated robot; no node reads it.', (('sim',), RELIABLE),
    ),
)  # fmt: skip

SERVICES: Final = (
    ServiceInfo(
        'supervisor/start_episode', 'viva_ros/srv/StartEpisode',
        'Begin an episode of a task; one that is under way ends.', ('supervisor',), ('sim',),
    ),
    ServiceInfo(
        'supervisor/end_episode', 'std_srvs/srv/Trigger',
        'End the episode, however it ended.', ('supervisor',), ('sim',),
    ),
    ServiceInfo(
        'supervisor/acknowledge', 'std_srvs/srv/Trigger',
        'Confirm that an operator has handled the cause of NEEDS_OPERATOR or LATCHED.',
        ('supervisor',),
    ),
    ServiceInfo(
        '{retry.name}', 'std_srvs/srv/Trigger',
        'Go back and try again on the scene as it is, where the parameter retry.by is trigger.',
        ('sim',), ('supervisor',),
    ),
    ServiceInfo(
        '{retry.name}', 'viva_ros/action/Retry',
        'The same as an action, where retry.by is action: the goal holds the reason.',
        (), ('supervisor',),
    ),
    ServiceInfo(
        '{retry.name}/_action/cancel_goal', 'action_msgs/srv/CancelGoal',
        'Cancel all goals of an action of any type, where retry.by is cancel.',
        (), ('supervisor',),
    ),
    ServiceInfo(
        'start', 'std_srvs/srv/Trigger',
        'Build the scene anew and begin an episode of the simulated robot.', ('sim',),
    ),
)  # fmt: skip
