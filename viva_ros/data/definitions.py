# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Message types that a bag does not define itself: bags before ROS 2 Iron define none."""

from dataclasses import replace
from pathlib import Path
from typing import Final

from viva_ros.core.errors import ConfigurationError
from viva_ros.data.messages import Definition
from viva_ros.data.recording import Recording

LINE: Final = '=' * 80


def with_definitions(recording: Recording, folder: Path | None) -> Recording:
    """
    Give a recording whose topics know their types.

    :param folder: of PACKAGE/msg/TYPE.msg; None changes nothing
    :raises ConfigurationError: if the folder has none, or one cannot be read
    """
    if folder is None:
        return recording
    texts = _texts(folder)
    tracks = {
        topic: replace(track, definition=_definition(track.type_name, texts))
        if track.type_name in texts and not (track.definition and track.definition.text)
        else track
        for topic, track in recording.tracks.items()
    }
    return replace(recording, tracks=tracks)


def _definition(type_name: str, texts: dict[str, str]) -> Definition:
    """Put a type and all others after it, as recordings do."""
    others = [
        f'{LINE}\nMSG: {name.replace("/msg/", "/")}\n{text}'
        for name, text in texts.items() if name != type_name
    ]  # fmt: skip
    return Definition('ros2msg', '\n'.join([texts[type_name], *others]))


def _texts(folder: Path) -> dict[str, str]:
    try:
        found = {
            f'{path.parent.parent.name}/msg/{path.stem}': path.read_text(encoding='utf-8')
            for path in sorted(folder.glob('**/msg/*.msg'))
        }
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f'definitions in {folder} cannot be read ({error})') from error
    if not found:
        raise ConfigurationError(
            f'definitions is {folder}, which has no PACKAGE/msg/TYPE.msg: correct it in the map'
        )
    return found
