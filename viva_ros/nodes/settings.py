# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the nodes are told, one dataclass each: the ROS parameters are made from these."""

from dataclasses import dataclass, field
from typing import Any, Final

from viva_ros.core.black_box import BlackBoxLimits
from viva_ros.core.detection.alarm import AlarmSettings
from viva_ros.core.detection.rules import RuleSettings
from viva_ros.core.detection.staleness import SilenceSettings
from viva_ros.core.errors import ConfigurationError
from viva_ros.core.image_checks import PictureSettings
from viva_ros.core.inputs import SyncSettings
from viva_ros.core.retry import TRIGGER, RetrySettings
from viva_ros.core.robot_state import RobotSettings
from viva_ros.core.settings import setting
from viva_ros.core.trajectory_cloud import CloudSettings
from viva_ros.engine.backend import kinds
from viva_ros.engine.resources import DEFAULT_TASK
from viva_ros.sim.robots.registry import DEFAULT_ROBOT, ROBOTS
from viva_ros.sim.tasks.registry import TASKS

TRANSPORTS = ('raw', 'compressed')


@dataclass(frozen=True)
class MonitorSettings:
    """
    The monitor.

    In a list, an empty text is no entry: ROS can't tell the type of an empty list.
    """

    autostart: bool = setting(True, 'Configure and activate without being asked.')
    engine: str = setting('', 'Folder of the engine; empty: the shipped one.')
    engine_kind: str = setting('auto', 'Library that runs it.', choices=kinds())
    engine_server: str = setting(
        '', "Socket of an engine server ('viva serve'); 'auto': the user's own; empty: none."
    )
    task: str = setting(DEFAULT_TASK, 'Task under way, one of those the engine was trained on.')
    cameras: tuple[str, ...] = setting(
        ('',), "Names of the engine's cameras, to give them topics below; empty: in its order."
    )
    camera_topics: tuple[str, ...] = setting(
        ('',), "Topic of each of 'cameras'; empty: <camera>/image_raw. /compressed is added."
    )
    joint_states_topic: str = setting('joint_states', 'Topic of the joint states.')
    transport: str = setting('compressed', 'What the cameras send.', choices=TRANSPORTS)
    rate: float = setting(10.0, 'Estimates asked for, Hz.', above=0.0, at_most=100.0)
    input_timeout: float = setting(
        10.0,
        'Wait for publishers of all inputs when configuring, s; 0: do not look.',
        at_least=0.0,
    )
    hang_after: float = setting(1.0, 'An estimate that takes longer is an error, s.', above=0.0)
    isolate: bool = setting(
        True, 'Run the engine in a process of its own, which is killed when it hangs.'
    )
    receive_time: bool = setting(
        False, 'Take the time of receipt where a stamp is 0; such values cannot be scored again.'
    )
    frame_id: str = setting('base_link', 'Frame of the markers.')
    sync: SyncSettings = field(default_factory=SyncSettings)
    picture: PictureSettings = field(default_factory=PictureSettings)
    cloud: CloudSettings = field(default_factory=CloudSettings)


@dataclass(frozen=True)
class SupervisorSettings:
    """The supervisor."""

    autostart: bool = setting(True, 'Configure and activate without being asked.')
    engine: str = setting('', 'Folder of the engine; empty: the shipped one.')
    task: str = setting(DEFAULT_TASK, 'Task under way; the calibration must be for it.')
    calibration: str = setting('', "File with the thresholds; empty: the engine's for the task.")
    rules: RuleSettings = field(default_factory=RuleSettings)
    alarm: AlarmSettings = field(default_factory=AlarmSettings)
    retry: RetrySettings = field(default_factory=RetrySettings)
    robot: RobotSettings = field(default_factory=RobotSettings)
    silence: SilenceSettings = field(default_factory=SilenceSettings)

    def check_retries(self) -> None:
        """
        Refuse retries whose end nobody would see.

        :raises ConfigurationError: naming the parameters, and the remedies
        """
        retry = self.retry
        if not retry.dry_run and retry.by == TRIGGER and not self.robot.executing_topic:
            raise ConfigurationError(
                'retry-execution-unreported',
                'retry.dry_run is false and robot.executing_topic is empty: an accepted retry '
                'would never be known to be done. Set robot.executing_topic to a topic of '
                "std_msgs/Bool that the robot publishes, or retry.by to 'action', or "
                'retry.dry_run to true',
            )


@dataclass(frozen=True)
class BlackBoxSettings:
    """The black box."""

    autostart: bool = setting(True, 'Configure and activate without being asked.')
    folder: str = setting(
        '~/.ros/viva_black_box', 'Where recordings go; in a namespace, a folder of its name in it.'
    )
    monitor: str = setting('monitor', 'Name of the node whose topics are recorded.')
    supervisor: str = setting('supervisor', 'Likewise; its alerts begin a recording.')
    limits: BlackBoxLimits = field(default_factory=BlackBoxLimits)


@dataclass(frozen=True)
class SimSettings:
    """The simulated robot; a change takes effect at the next 'start', one of robot at no time."""

    autostart: bool = setting(False, "Start an episode without the service 'start'.")
    robot: str = setting(
        DEFAULT_ROBOT, 'Simulated robot; fixed while the node runs.', choices=ROBOTS.names()
    )
    task: str = setting(DEFAULT_TASK, 'Simulated task.', choices=TASKS.names())
    seed: int = setting(0, 'Seed of the layout and of the motion.', at_least=0)
    failure: str = setting('none', 'Failure or variation of the task; none: neither.')
    image_height: int = setting(128, 'Height of the images, px.', at_least=16, at_most=960)
    image_width: int = setting(128, 'Width of the images, px.', at_least=16, at_most=960)
    camera_rate: float = setting(
        10.0, 'Images per second and camera, Hz.', above=0.0, at_most=50.0
    )
    camera_noise: float = setting(
        1.0, 'Standard deviation of the image noise, steps of 1 / 255.', at_least=0.0, at_most=50.0
    )


#: The defaults of each node, by its name.
SETTINGS: Final[dict[str, Any]] = {
    'monitor': MonitorSettings(), 'supervisor': SupervisorSettings(),
    'black_box': BlackBoxSettings(), 'sim': SimSettings(),
}  # fmt: skip

#: Parameters of earlier versions, of any node, and what is to be used instead.
RENAMED: Final = {
    'retry.action': "'retry.by: cancel' and 'retry.name: <action>'",
    'rules.foresight_window': "'rules.forecast_residual_window: <s>'",
}
