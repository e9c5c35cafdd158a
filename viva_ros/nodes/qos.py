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

#: Video: a picture needs all packets since its key frame; reliable if all publishers are.
VIDEO = QoSProfile(depth=100, reliability=ReliabilityPolicy.BEST_EFFORT)
RELIABLE_VIDEO = QoSProfile(depth=100)

#: Joint states: a short history, since they are matched to images by stamp.
JOINTS = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)

#: Results: no message may be lost.
RELIABLE = QoSProfile(depth=10)

#: States: late subscribers receive the last message.
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)

#: Subscribers of latched topics: alerts may arrive in a burst.
LATCHED_READER = QoSProfile(depth=50, durability=DurabilityPolicy.TRANSIENT_LOCAL)

#: Heartbeats: a subscriber is notified within 1 s that a node hangs or has ended.
HEARTBEAT = QoSProfile(
    depth=1,
    liveliness=LivelinessPolicy.MANUAL_BY_TOPIC,
    liveliness_lease_duration=Duration(seconds=1),
)

#: Sensor drivers: best effort, a short queue.
SENSOR = qos_profile_sensor_data


@dataclass(frozen=True)
class TopicInfo:
    """
    A topic of the nodes.

    :param name: relative to the namespace; '~/' stands for the node's name, {camera} for the name
        of each camera, any other {...} for the value of that parameter
    :param type: such as 'sensor_msgs/msg/Image'
    :param published: publishing nodes, and their QoS
    :param subscribed: subscribing nodes, and their QoS; 'black_box' also subscribes to all topics
        but the visualizations
    :param rate: rate or occasion of its messages
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
    :param type: such as 'std_srvs/srv/Trigger'
    :param servers: nodes that offer it; empty: the robot offers it
    :param clients: nodes that call it; empty: the robot's program or an operator calls it
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
        'Images, if the parameter transport is raw; named by camera_topics.',
        (('sim',), SENSOR), (('monitor',), IMAGE),
    ),
    TopicInfo(
        '{camera}/image_raw/compressed', 'sensor_msgs/msg/CompressedImage', 'of the camera',
        'JPEG or PNG images, if the parameter transport is compressed; named by camera_topics.',
        (('sim',), SENSOR), (('monitor',), IMAGE),
    ),
    TopicInfo(
        '{joint_states_topic}', 'sensor_msgs/msg/JointState', 'of the robot',
        'Positions of all joints of the engine, rad or m; joints are matched by name.',
        (('sim',), SENSOR), (('monitor',), JOINTS),
    ),
    TopicInfo(
        'value', 'viva_ros/msg/Value', 'parameter rate, 10 Hz',
        'V in [-1, 1], or unknown with a reason; stamps of the inputs.',
        (('monitor',), RELIABLE), (('supervisor',), RELIABLE),
    ),
    TopicInfo(
        'value_scalar', 'std_msgs/msg/Float32', 'as value, only while it is known',
        'Only V, for rqt_plot and PlotJuggler.', (('monitor',), RELIABLE),
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
        'Current episode: id, task, and whether the robot executes it.',
        (('supervisor',), LATCHED), (('monitor', 'supervisor', 'sim'), LATCHED_READER),
    ),
    TopicInfo(
        'alert', 'viva_ros/msg/Alert', 'on change',
        'A change of level: rule, statistic, threshold, onset, and the samples that caused it.',
        (('supervisor',), LATCHED), (('monitor', 'supervisor'), LATCHED_READER),
    ),
    TopicInfo(
        'supervisor/state', 'viva_ros/msg/SupervisorState', 'on change',
        'Current worst level, its reason and start time; episode and retries.',
        (('supervisor',), LATCHED),
    ),
    TopicInfo(
        '{robot.executing_topic}', 'std_msgs/msg/Bool', 'at least every robot.report_timeout, 2 s',
        'True while the robot executes the task.',
        (('sim',), RELIABLE), (('supervisor',), RELIABLE),
    ),
    TopicInfo(
        '{robot.stopped_topic}', 'std_msgs/msg/Bool', 'at least every robot.report_timeout, 2 s',
        'True while the robot is stopped or at fault.', None, (('supervisor',), RELIABLE),
    ),
    TopicInfo(
        '{retry.name}/_action/status', 'action_msgs/msg/GoalStatusArray', 'on change',
        'Goals of the action to cancel, if the parameter retry.by is cancel.',
        None, (('supervisor',), LATCHED_READER),
    ),
    TopicInfo(
        '/diagnostics', 'diagnostic_msgs/msg/DiagnosticArray', '1 Hz',
        'Engine, inputs, value; level of the supervision; state of the black box.',
        (MANAGED, RELIABLE),
    ),
    TopicInfo(
        '~/heartbeat', 'std_msgs/msg/Header', '5 Hz, only while the node is healthy',
        'A subscriber with a liveliness lease of 1 s detects a hanging node within that time.',
        (MANAGED, HEARTBEAT),
    ),
    TopicInfo(
        'bond', 'bond/msg/Status', '10 Hz, while active',
        'For nav2_lifecycle_manager, if the package bond is installed.',
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
        'Start an episode of a task; the current one ends.', ('supervisor',), ('sim',),
    ),
    ServiceInfo(
        'supervisor/end_episode', 'std_srvs/srv/Trigger',
        'End the episode, after a success or a failure.', ('supervisor',), ('sim',),
    ),
    ServiceInfo(
        'supervisor/acknowledge', 'std_srvs/srv/Trigger',
        'Confirm that an operator has handled the cause of NEEDS_OPERATOR or LATCHED.',
        ('supervisor',),
    ),
    ServiceInfo(
        '{retry.name}', 'std_srvs/srv/Trigger',
        'Return and retry on the current scene, if the parameter retry.by is trigger.',
        ('sim',), ('supervisor',),
    ),
    ServiceInfo(
        '{retry.name}', 'viva_ros/action/Retry',
        'The same as an action, if retry.by is action: the goal holds the reason.',
        (), ('supervisor',),
    ),
    ServiceInfo(
        '{retry.name}/_action/cancel_goal', 'action_msgs/srv/CancelGoal',
        'Cancel all goals of an action of any type, if retry.by is cancel.',
        (), ('supervisor',),
    ),
    ServiceInfo(
        'start', 'std_srvs/srv/Trigger',
        'Build a new scene and start an episode of the simulated robot.', ('sim',),
    ),
)  # fmt: skip
