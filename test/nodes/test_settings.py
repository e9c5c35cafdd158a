# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

from support.errors import raises

from viva_ros.core.retry import RetrySettings
from viva_ros.core.robot_state import RobotSettings
from viva_ros.nodes.settings import SupervisorSettings


def test_trigger_retry_needs_an_execution_report():
    retry = RetrySettings(dry_run=False)
    remedies = ('robot.executing_topic', 'retry.by', 'retry.dry_run')
    with raises('retry-execution-unreported', *remedies):
        SupervisorSettings(retry=retry).check_retries()
    reported = RobotSettings(executing_topic='executing')
    SupervisorSettings(retry=retry, robot=reported).check_retries()
    SupervisorSettings(retry=RetrySettings(dry_run=False, by='action')).check_retries()
