# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The retries of the last hour, kept in a file: their budget must outlive the process that counts.

A supervisor that dies again and again would else begin each time with a whole budget. Steady time
begins anew with the machine, so the file has stamps of the clock of the day. Where that was put
back, a retry counts as just asked for.
"""

import json
from pathlib import Path
from typing import Final

from viva_ros.core.errors import VivaError
from viva_ros.core.files import write_atomically

FORMAT: Final = 'viva_ros retries 1'
HOUR: Final = 3600.0  # s


class RetryMemory:
    """Stamps of the clock of the day, s, in a file."""

    def __init__(self, path: Path) -> None:
        """:param path: the file; it and its folder are made when there is something to keep"""
        self.path = path
        self._stamps: list[float] = []

    def recall(self, day: float, steady: float) -> list[float]:
        """
        Read the file: when the retries of the last hour were asked for, in steady time, ascending.

        :param day: and steady: now, s
        :raises VivaError: if the file is there and cannot be read
        """
        try:
            content = json.loads(self.path.read_text(encoding='utf-8'))
            if content['format'] != FORMAT:
                raise ValueError(f'format is {content["format"]!r}, must be {FORMAT!r}')
            self._stamps = [float(stamp) for stamp in content['asked']]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise VivaError(
                f'retries of the last hour cannot be read from {self.path} ({error}): they count '
                'as spent; delete the file, or wait for an hour'
            ) from error
        ages = (max(0.0, day - stamp) for stamp in self._stamps)
        return sorted(steady - age for age in ages if age < HOUR)

    def note(self, day: float) -> None:
        """
        Write that a retry is asked for now.

        :raises OSError: if it cannot be written
        """
        recent = [min(stamp, day) for stamp in self._stamps if day - stamp < HOUR]
        self._stamps = [*recent, day]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path, json.dumps({'format': FORMAT, 'asked': self._stamps}) + '\n')
