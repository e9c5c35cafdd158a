# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command that made a file, to be written into it."""

import shlex
import sys


def command_line(name: str) -> str:
    """Give the running command as `viva NAME ...`, whichever way it was started."""
    arguments = sys.argv[1:]
    return shlex.join(['viva', name, *arguments[arguments[:1] == [name] :]])
