# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Limit of the topics of a bag, the same for all its readers: work for each of them adds up."""

from viva_ros.core.errors import RecordingError
from viva_ros.core.input_limits import CHANNEL_LIMIT


class TopicCountError(RecordingError):
    """A bag has more topics than the limit."""


def check_topics(path: object, count: int) -> None:
    """
    Check the number of topics of a bag before anything is done for each of them.

    :param path: of the bag, for the error
    :param count: one for each publisher of a topic
    :raises TopicCountError: if it is above the limit
    """
    if count > CHANNEL_LIMIT:
        raise TopicCountError(
            'bag-topics',
            f'recording {path} has {count} topics, or publishers of them, at most {CHANNEL_LIMIT} '
            'are read: write those of the robot to another bag with "ros2 bag convert" and '
            '"topics", or leave it out',
        )
