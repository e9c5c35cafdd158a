# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The table of all readers that are fuzzed, by name."""

from collections.abc import Mapping
from typing import Final

from fuzz.description_targets import DESCRIPTIONS
from fuzz.message_targets import MESSAGES
from fuzz.recording_targets import RECORDINGS
from fuzz.target import Target

TARGETS: Final[Mapping[str, Target]] = {**RECORDINGS, **DESCRIPTIONS, **MESSAGES}
