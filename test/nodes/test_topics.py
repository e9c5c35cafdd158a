# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Topics of the monitor's cameras and joint states, from parameters and engine."""

from dataclasses import replace

import pytest
from support.errors import raises

from viva_ros.engine.api import EngineInfo
from viva_ros.nodes.robot_topics import camera_topics, robot_topics
from viva_ros.nodes.settings import MonitorSettings

ENGINE = EngineInfo(('head', 'wrist'), ('waist',), 1.0, (64, 64), ('fold',), 'f' * 16, 'fake')
DEFAULTS = MonitorSettings()


def test_default_camera_topics_follow_the_engine():
    expected = {'head': 'head/image_raw/compressed', 'wrist': 'wrist/image_raw/compressed'}
    assert camera_topics(DEFAULTS, ENGINE) == expected


def test_camera_topics_are_assigned_in_the_order_of_cameras():
    settings = replace(
        DEFAULTS, cameras=('wrist', 'head'), camera_topics=('/w', '/h'), transport='raw'
    )
    assert camera_topics(settings, ENGINE) == {'head': '/h', 'wrist': '/w'}


@pytest.mark.parametrize(
    ('changes', 'code', 'named'),
    [
        ({'cameras': ('head', 'belly')}, 'camera-names', ["['head', 'belly']", 'wrist']),
        ({'camera_topics': ('/h',)}, 'camera-topic-count', ["['/h']", '2 entries']),
        ({'camera_topics': ('/h', 'a b')}, 'topic-name', ['camera_topics', "'a b'"]),
    ],
)
def test_invalid_camera_parameters_fail(changes, code, named):
    with raises(code, *named):
        camera_topics(replace(DEFAULTS, **changes), ENGINE)


def test_invalid_joint_states_topic_fails():
    with raises('topic-name', 'joint_states_topic', "'{x}/a'"):
        robot_topics(replace(DEFAULTS, joint_states_topic='{x}/a'), ENGINE)
