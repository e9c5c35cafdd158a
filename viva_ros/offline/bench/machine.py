# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a benchmark ran on: figures without it say nothing."""

import os
import platform
from datetime import UTC, datetime
from typing import Any, Final

from viva_ros.offline.command import command_line
from viva_ros.offline.hardware import processor, versions

LIBRARIES: Final = (
    'numpy', 'opencv-python-headless', 'onnxruntime', 'openvino', 'torch', 'diffusers',
    'tensorrt', 'tensorrt-rtx', 'rclpy', 'ros-rmw-fastrtps-cpp',
)  # fmt: skip


def describe() -> dict[str, Any]:
    """Give processor, memory, load, versions, date and command."""
    return {
        'command': command_line('bench'), 'date': f'{datetime.now(UTC):%Y-%m-%d}',
        'processor': processor(), 'cores': len(os.sched_getaffinity(0)),
        'memory_gib': round(os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30, 1),
        'load_before': round(os.getloadavg()[0], 2), 'system': platform.platform(),
        'python': platform.python_version(), 'libraries': versions(LIBRARIES),
    }  # fmt: skip
