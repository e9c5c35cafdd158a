# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Values that the supervisor accepts; why none is accepted is an event, on each change."""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from rclpy.node import Node

from viva_ros.core.detection.staleness import Silence, SilenceSettings
from viva_ros.core.events import Event, Level
from viva_ros.core.value_source import (
    CAUSES,
    OwnEpisode,
    OwnEpisodes,
    ValueSource,
    ValueSources,
)
from viva_ros.msg import Value
from viva_ros.nodes.convert import publisher_of, to_ns


class AcceptedValues:
    """
    Accepts the values of one monitor.

    ``lack`` is the event since which no value is accepted: of kind 'refused' or 'silence', with
    the reason; None while values are accepted, and before the first message.
    """

    def __init__(
        self, node: Node, settings: SilenceSettings, time_jump: float,
        publish: Callable[[Event], None],
    ) -> None:  # fmt: skip
        """
        Start to wait for the first value.

        :param time_jump: a stamp older than the newest by more than this is a jump, s
        :param publish: called with the event of each change of ``lack``
        """
        self._node, self._publish = node, publish
        self._silence = Silence(settings, time.monotonic())
        topic = node.resolve_topic_name('value')
        self._sources = ValueSources(settings, time_jump, topic)
        self._own = OwnEpisodes()
        self._silence_event: Event | None = None
        self.lack: Event | None = None
        self._cause = ''

    def follow_episode(self, episode: OwnEpisode) -> None:
        """Set the present episode of this supervisor."""
        self._own.announce(episode, self._now(), time.monotonic())

    def accept(self, message: Value, info: Mapping[str, Any], passive: bool) -> bool:
        """
        Return whether a value is accepted.

        :param info: what rclpy passes with the message
        :param passive: whether another supervisor is in charge, whose episodes are not known
        """
        source = ValueSource(publisher_of(info), int(message.session_id))
        known = message.status == Value.STATUS_OK
        episode = OwnEpisode(message.episode_id, message.task, message.executing)
        oldest = min(map(to_ns, message.input_stamps), default=None) if known else None
        refusal = self._sources.judge(
            source, to_ns(message.header.stamp), known, episode, self._now(), time.monotonic(),
            None if passive else self._own, oldest,
        )  # fmt: skip
        if refusal is not None:
            text = f'value refused: {refusal.text}'
            self._node.get_logger().warning(text, throttle_duration_sec=5.0)
            self.watch()
        elif self._sources.changed:
            self._node.get_logger().info(f'values of monitor {source.session} are accepted')
        return refusal is None

    @property
    def changed(self) -> bool:
        """Whether the last accepted value cannot be compared with those before."""
        return self._sources.changed

    def watch(self) -> None:
        """Publish why no value is accepted, if that has changed; call this ten times a second."""
        steady, heard = time.monotonic(), self._sources.accepted_at
        silence = self._silence.update(steady, heard, self._now(), self._own.current.id)
        self._silence_event = silence or self._silence_event
        refusal = self._sources.lack(steady)
        cause = refusal.cause if refusal else 'silence' if self._silence.silent else ''
        if cause == self._cause or (heard is None and not cause):
            return
        ended, self._cause = self.lack, cause
        if refusal is not None:
            self.lack = self._event('refused', Level.UNKNOWN, refusal.text)
        else:
            self.lack = self._silence_event if cause else None
        event = self.lack
        if event is None and ended is not None:
            event = self._event(ended.kind, Level.OK, 'values arrive again')
        if event is not None:
            self._publish(event)

    def age_fault(self, stamp: int) -> str:
        """Return how much a stamp, ns, is too old or ahead of now; '' if it is neither."""
        return self._sources.age_fault(stamp, self._now())

    @property
    def fresh(self) -> bool:
        """Whether values are accepted, and the newest is neither too old nor ahead of now."""
        stamp = self._sources.stamp
        return stamp is not None and self.lack is None and not self.age_fault(stamp)

    @property
    def notice(self) -> str:
        """Why values were refused in the last seconds, even if others are accepted; '' if none."""
        return self._sources.notice(time.monotonic())

    def figures(self) -> dict[str, object]:
        """Return the accepted session and the numbers of refused values, for the diagnostics."""
        source = self._sources.source
        counts = {f'refused_{cause}': self._sources.counts[cause] for cause in CAUSES}
        return {'monitor_session': '' if source is None else source.session, **counts}

    def _now(self) -> int:
        return int(self._node.get_clock().now().nanoseconds)

    def _event(self, kind: str, level: Level, text: str) -> Event:
        now, nan = self._now(), math.nan
        return Event(level, kind, now, now, nan, nan, nan, self._own.current.id, text)
