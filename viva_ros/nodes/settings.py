# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Settings of each node as a dataclass, from which its ROS parameters are declared."""

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
from viva_ros.robot.topic_map import TRANSPORTS
from viva_ros.sim.robots.registry import DEFAULT_ROBOT, ROBOTS
from viva_ros.sim.tasks.registry import TASKS


@dataclass(frozen=True)
class MonitorSettings:
    """
    The monitor.

    Empty texts in a list are ignored: ROS has no type for an empty list.
    """

    autostart: bool = setting(True, 'Configure and activate at the start.')
    engine: str = setting('', 'Folder of the engine; empty: the shipped one.')
    engine_kind: str = setting('auto', 'Backend that runs the engine.', choices=kinds())
    engine_server: str = setting(
        '', "Socket of an engine server ('viva serve'); 'auto': the user's socket; empty: none."
    )
    task: str = setting(DEFAULT_TASK, 'Current task, one that the engine was trained on.')
    robot: str = setting(
        '', 'File that describes cameras, joints and limits; empty: the parameters below.'
    )
    cameras: tuple[str, ...] = setting(
        ('',), "Cameras of the engine, in the order of 'camera_topics'; empty: the engine's order."
    )
    camera_topics: tuple[str, ...] = setting(
        ('',), "Topic of each camera, without the transport's name; empty: <camera>/image_raw."
    )
    joint_states_topic: str = setting('joint_states', 'Topic of the joint states.')
    transport: str = setting('compressed', 'Image transport.', choices=TRANSPORTS)
    rate: float = setting(10.0, 'Rate of the estimates, Hz.', above=0.0, at_most=100.0)
    input_timeout: float = setting(
        10.0,
        'Time-out for publishers of all inputs at configure, s; 0: no check.',
        at_least=0.0,
    )
    estimate_timeout: float = setting(
        1.0,
        'Time-out of an estimate, s; time in which the engine process uses or waits for a '
        'processor is judged apart.',
        above=0.0,
    )
    overload_timeout: float = setting(
        30.0,
        'The same for an engine process that waits for a processor, s; below '
        "'estimate_timeout': no more time than that.",
        above=0.0,
    )
    isolate: bool = setting(
        True, 'Run the engine in a separate process, which is killed if it hangs.'
    )
    receive_time: bool = setting(
        False, 'Use the receive time for stamps of 0; such recordings cannot be scored again.'
    )
    frame_id: str = setting('base_link', 'Frame of the markers.')
    sync: SyncSettings = field(default_factory=SyncSettings)
    image: PictureSettings = field(default_factory=PictureSettings)
    cloud: CloudSettings = field(default_factory=CloudSettings)


@dataclass(frozen=True)
class SupervisorSettings:
    """The supervisor."""

    autostart: bool = setting(True, 'Configure and activate at the start.')
    engine: str = setting('', 'Folder of the engine; empty: the shipped one.')
    task: str = setting(DEFAULT_TASK, 'Current task; the calibration must be for it.')
    calibration: str = setting('', "Calibration file; empty: the engine's for the task.")
    rules: RuleSettings = field(default_factory=RuleSettings)
    alarm: AlarmSettings = field(default_factory=AlarmSettings)
    retry: RetrySettings = field(default_factory=RetrySettings)
    robot: RobotSettings = field(default_factory=RobotSettings)
    silence: SilenceSettings = field(default_factory=SilenceSettings)

    def check_retries(self) -> None:
        """
        Check that the end of a retry can be observed.

        :raises ConfigurationError: naming the parameters and the remedies
        """
        retry = self.retry
        if not retry.dry_run and retry.by == TRIGGER and not self.robot.executing_topic:
            raise ConfigurationError(
                'retry-execution-unreported',
                'retry.dry_run is false and robot.executing_topic is empty: the end of a retry '
                'could not be observed. Set robot.executing_topic to a topic of '
                "std_msgs/Bool that the robot publishes, or retry.by to 'action', or "
                'retry.dry_run to true',
            )


@dataclass(frozen=True)
class BlackBoxSettings:
    """The black box."""

    autostart: bool = setting(True, 'Configure and activate at the start.')
    folder: str = setting(
        '~/.ros/viva_black_box', 'Folder of the recordings; each namespace has a subfolder.'
    )
    monitor: str = setting('monitor', 'Name of the node whose topics are recorded.')
    supervisor: str = setting(
        'supervisor',
        'Name of the node whose topics are recorded and whose alerts start a recording.',
    )
    limits: BlackBoxLimits = field(default_factory=BlackBoxLimits)


@dataclass(frozen=True)
class SimSettings:
    """The simulated robot; changes take effect at the next 'start'. The robot cannot change."""

    autostart: bool = setting(False, "Start an episode without the service 'start'.")
    robot: str = setting(
        DEFAULT_ROBOT, 'Simulated robot; fixed while the node runs.', choices=ROBOTS.names()
    )
    task: str = setting(DEFAULT_TASK, 'Simulated task.', choices=TASKS.names())
    seed: int = setting(0, 'Seed of the layout and the motion.', at_least=0)
    failure: str = setting('none', 'Failure or variation of the task; none: no change.')
    image_height: int = setting(128, 'Height of the images, px.', at_least=16, at_most=960)
    image_width: int = setting(128, 'Width of the images, px.', at_least=16, at_most=960)
    camera_rate: float = setting(10.0, 'Image rate of each camera, Hz.', above=0.0, at_most=50.0)
    camera_noise: float = setting(
        1.0, 'Standard deviation of the image noise, steps of 1 / 255.', at_least=0.0, at_most=50.0
    )


#: The defaults of each node, by its name.
SETTINGS: Final[dict[str, Any]] = {
    'monitor': MonitorSettings(), 'supervisor': SupervisorSettings(),
    'black_box': BlackBoxSettings(), 'sim': SimSettings(),
}  # fmt: skip

#: Removed parameters of any node, and the replacement.
RENAMED: Final = {
    'retry.action': "'retry.by: cancel' and 'retry.name: <action>'",
    'rules.foresight_window': "'rules.forecast_residual_window: <s>'",
    'rules.done_above': "'viva calibrate --done-above <value>' and leave it out here",
    'hang_after': "'estimate_timeout: <s>'",
    'sync.stale': "'sync.max_age: <s>'",
    'picture.black_below': "'image.black_below: <0 to 255>'",
    'picture.saturated_above': "'image.saturated_above: <0 to 255>'",
    'picture.uniform_below': "'image.uniform_below: <0 to 255>'",
    'picture.frozen_after': "'image.frozen_after: <s>'",
    'picture.frozen_travel': "'image.frozen_joint_motion: <rad or m>'",
    'alarm.margin': "'alarm.hysteresis: <units of the rule>'",
    'retry.hourly': "'retry.hourly_budget: <number>'",
    'rules.gap': "'rules.max_gap: <s>'",
    'robot.word_timeout': "'robot.report_timeout: <s>'",
}
