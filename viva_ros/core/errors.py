# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What can go wrong and be mended by an operator; a caller's mistake is a ValueError."""


class VivaError(Exception):
    """Base of all errors that an operator can mend; the text names thing, value, remedy."""


class ConfigurationError(VivaError):
    """A parameter, topic or joint name does not fit."""


class EngineError(VivaError):
    """An engine or checkpoint cannot be read, or does not fit this robot."""


class DeviceError(EngineError):
    """The device under an engine has failed: the process must end and be started again."""


class InputError(VivaError):
    """One message cannot be used (encoding, size, names, non-finite numbers)."""


class RecordingError(VivaError):
    """A recording cannot be read or written."""


class CalibrationError(VivaError):
    """A calibration is missing, too small, or belongs to another engine."""
