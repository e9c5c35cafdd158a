# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""On-robot value monitoring with ViVa: whether the task progresses towards success."""

from pkgutil import extend_path

# A source checkout finds the installed messages (viva_ros.msg) and the other way round.
__path__ = extend_path(__path__, __name__)
