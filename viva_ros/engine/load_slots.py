# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Limit how many engines of a user load at the same time on this machine.

Loading takes a core. When many engines load at once, those that estimate are starved. A slot is a
socket with an abstract name: no file remains, and the kernel frees it when the last process that
holds it ends, even by SIGKILL. The limit is a courtesy: who waits too long loads without a slot.
"""

import errno
import os
import socket
from typing import Final

LONGEST_WAIT: Final = 30.0  # s
NAME: Final = 'viva_ros_engine_load'


def slot_count() -> int:
    """Return how many engines may load at once: half of the cores, at least 1."""
    return max(1, len(os.sched_getaffinity(0)) // 2)


def take_slot() -> socket.socket | None:
    """
    Take a free slot; None if all are used.

    It is free again when all copies of the socket are closed: pass it to the process that loads.
    Where the kernel refuses such names there is no limit.
    """
    for number in range(slot_count()):
        slot = socket.socket(socket.AF_UNIX)
        try:
            slot.bind(f'\0{NAME}_{os.getuid()}_{number}')
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                slot.close()
                continue
        return slot
    return None
