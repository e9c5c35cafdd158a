# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Read the recording of a run, and the files that the watch has left."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcap.reader import make_reader

from benchmarks.chaos.history import (
    Clock,
    Disturbance,
    FileFinding,
    Liveliness,
    RecordedAlert,
    RecordedInput,
    RecordedState,
    RecordedValue,
)
from benchmarks.chaos.recorder import LIVELINESS, PUBLISHERS
from viva_ros.core.errors import RecordingError
from viva_ros.data.messages import deserialise, from_time, stamp_of


@dataclass
class Recorded:
    """The messages of a run by kind, in order of receipt."""

    values: list[RecordedValue] = field(default_factory=list)
    alerts: list[RecordedAlert] = field(default_factory=list)
    states: list[RecordedState] = field(default_factory=list)
    inputs: list[RecordedInput] = field(default_factory=list)
    retries: list[float] = field(default_factory=list)
    liveliness: list[Liveliness] = field(default_factory=list)
    clock: list[Clock] = field(default_factory=list)
    strange: int = 0  # messages of others


def read(path: Path) -> Recorded:
    """Read a recording; messages that cannot be read, as strangers send them, are counted."""
    found, nodes = Recorded(), publishers(path)
    with path.open('rb') as file:
        for schema, channel, message in make_reader(file).iter_messages():
            node = nodes.get(channel.metadata.get('publisher', ''), '')
            at = message.log_time * 1e-9
            try:
                content = deserialise(schema.name if schema else '', message.data)
                _add(found, channel.topic, content, message.data, at, node,
                     channel.metadata.get('publisher', ''))  # fmt: skip
            except RecordingError:
                found.strange += 1
    return found


def publishers(path: Path) -> dict[str, str]:
    """Return publisher to the name of its node."""
    with path.open('rb') as file:
        for record in make_reader(file).iter_metadata():
            if record.name == PUBLISHERS:
                return dict(record.metadata)
    return {}


def _add(
    found: Recorded, topic: str, content: Any, data: bytes, at: float, node: str, publisher: str
) -> None:
    """Add a message; alerts and states count if the supervisor has sent them."""
    if node == 'stranger' and topic not in ('/clock', '/value'):
        if topic.endswith('/image_raw') or topic == '/joint_states':
            found.inputs.append(RecordedInput(at, _source(topic), stamp_of(data), publisher))
        found.strange += 1
        return
    match topic:
        case '/value':
            inputs = {name: from_time(stamp) for name, stamp in
                      zip(content.input_names, content.input_stamps, strict=False)}  # fmt: skip
            found.values.append(RecordedValue(
                at, from_time(content.header.stamp), content.status == content.STATUS_OK,
                float(content.value), inputs, node, publisher,
                int(getattr(content, 'session_id', 0)), content.task,
            ))  # fmt: skip
        case '/alert':
            found.alerts.append(RecordedAlert(
                at, from_time(content.header.stamp), content.level, content.kind,
                int(content.session_id),
            ))  # fmt: skip
        case '/supervisor/state':
            found.states.append(RecordedState(
                at, content.level, content.kind, int(content.session_id), bool(content.executing)
            ))  # fmt: skip
        case '/retry_calls':
            found.retries.append(at)
        case '/clock':
            found.clock.append(Clock(at, from_time(content.clock)))
        case '/joint_states' | '/head/image_raw' | '/wrist/image_raw':
            found.inputs.append(RecordedInput(at, _source(topic), stamp_of(data), publisher))
        case _ if topic == LIVELINESS:
            said = json.loads(content.data)
            found.liveliness.append(Liveliness(at, said['node'], said['alive']))


def _source(topic: str) -> str:
    return topic.strip('/').removesuffix('/image_raw')


def two_monitors(values: Sequence[RecordedValue]) -> Iterator[Disturbance]:
    """Yield the spans of time in which two publishers of nodes called 'monitor' speak."""
    spans: dict[str, tuple[float, float]] = {}
    for one in values:
        if one.node == 'monitor':
            begin, _ = spans.get(one.publisher, (one.at, one.at))
            spans[one.publisher] = begin, one.at
    ordered = sorted(spans.values())
    for row, (_, end) in enumerate(ordered):
        for other, later in ordered[row + 1 :]:
            if other < min(end, later):
                yield Disturbance('second_monitor', 'monitor', other, min(end, later))


def look_at_files(folder: Path) -> list[FileFinding]:
    """Return the files of the watch that have their final names, and what is wrong with each."""
    paths = [path for path in sorted(folder.rglob('*')) if path.is_file()]
    return [FileFinding(str(path.relative_to(folder)), _fault(path)) for path in paths
            if path.suffix in ('.mcap', '.json')]  # fmt: skip


def _fault(path: Path) -> str:
    try:
        if path.suffix == '.json':
            json.loads(path.read_text(encoding='utf-8'))
            return ''
        with path.open('rb') as file:
            reader = make_reader(file, validate_crcs=True)
            summary = reader.get_summary()
            count = sum(1 for _ in reader.iter_messages())
        if summary is None or summary.statistics is None:
            return 'it has no summary'
        said = summary.statistics.message_count
        return '' if said == count else f'it has {count} messages, its summary says {said}'
    except Exception as error:  # whatever a reader raises on half a file
        return repr(error)
