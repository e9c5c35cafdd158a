# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Who could have put an engine's file there: it is executable code.

A file is trusted if nobody else may write to it or its folder, and both are the user's or root's.
"""

import os
import shlex
import stat
from pathlib import Path
from typing import Final

from viva_ros.core.errors import EngineError

AGAIN: Final = "make it with 'viva export', or fetch it again"
ROOT: Final = 0


def check_file(path: Path) -> None:
    """
    Refuse a file that is missing, that others may write to, or that is another user's.

    :raises EngineError: saying which, and what mends it
    """
    for place in (path, path.parent):
        try:
            status = place.stat()
        except OSError as error:
            raise EngineError(f'{path} is not there ({error.strerror}): {AGAIN}') from error
        # In a sticky folder, as /tmp is, nobody else can exchange the user's files.
        is_sticky = stat.S_ISDIR(status.st_mode) and bool(status.st_mode & stat.S_ISVTX)
        name = shlex.quote(str(place))
        if status.st_mode & stat.S_IWOTH and not is_sticky:
            raise EngineError(f"{place} may be written by anyone: run 'chmod o-w {name}'")
        # A group of the user's own has the user's number.
        if status.st_mode & stat.S_IWGRP and status.st_gid not in (ROOT, os.geteuid()):
            raise EngineError(f"{place} may be written by a group: run 'chmod g-w {name}'")
        if status.st_uid not in (ROOT, os.geteuid()):
            raise EngineError(
                f'{place} belongs to user {status.st_uid}, must be yours ({os.geteuid()}) or '
                f"root's: look who made it, then run 'sudo chown {os.geteuid()} {name}'"
            )


def check_building_place(folder: Path) -> None:
    """
    Refuse to build where anyone may write, sticky or not: a file there is not ours for sure.

    :param folder: it need not be there yet
    :raises EngineError: naming the folder that is open
    """
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    status = place.stat()
    by_group = status.st_mode & stat.S_IWGRP and status.st_gid not in (ROOT, os.geteuid())
    if status.st_mode & stat.S_IWOTH or by_group:
        raise EngineError(
            f'{place} may be written by {"a group" if by_group else "anyone"}, no engine is built '
            f"there: give a folder of your own, such as '~/engines/{folder.name}'"
        )
