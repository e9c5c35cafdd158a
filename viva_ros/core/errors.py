# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Errors that an operator can correct. A caller's mistake is a ``ValueError``.

Each error has a code: the subject and what is wrong with it, such as ``engine-hash``. A code is
raised for one cause, and stays when the text changes.
"""

from typing import Self

from viva_ros.core.foreign_text import ERROR_LENGTH, shown


class VivaError(Exception):
    """
    Base of all errors that an operator can correct.

    :param code: the cause, in lower case with hyphens
    :param text: the thing, its value, what is allowed, and a remedy; parts of others are escaped
    """

    def __init__(self, code: str, text: str) -> None:
        text = shown(text, ERROR_LENGTH, lines=True)
        super().__init__(code, text)
        self.code, self.text = code, text

    def __str__(self) -> str:
        return self.text

    def fresh(self) -> Self:
        """Return an equal error to keep or raise: one that was raised keeps all local data."""
        return type(self)(self.code, self.text)


class ConfigurationError(VivaError):
    """A parameter, topic or joint name is invalid."""


class EngineError(VivaError):
    """An engine or checkpoint cannot be read, or does not fit this robot."""


class DeviceError(EngineError):
    """The device of an engine has failed. The process must be restarted."""


class InputError(VivaError):
    """One message cannot be used (encoding, size, names, non-finite numbers)."""


class RecordingError(VivaError):
    """A recording cannot be read or written."""


class CalibrationError(VivaError):
    """A calibration is missing, too small, or belongs to another engine."""


class UntrustedError(EngineError, CalibrationError):
    """A file, folder or socket of an engine can be written or exchanged by another user."""
