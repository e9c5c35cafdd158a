# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Properties are searched at random here, and the same way each time in CI; never by the clock."""

import os

from hypothesis import settings

settings.register_profile('viva_ros', deadline=None, derandomize='CI' in os.environ)
settings.load_profile('viva_ros')
