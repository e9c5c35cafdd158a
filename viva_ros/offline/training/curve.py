# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The curve of a run: a line of JSON for each row, and the same for TensorBoard."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from viva_ros.core.files import write_atomically

CURVE = 'curve.jsonl'
EVENTS = 'tensorboard'


class Curve:
    """
    Rows of one stage, in ``curve.jsonl`` of the run's folder and ``tensorboard/STAGE`` below.

    :param step: that the stage goes on from; rows after it are of a run that was killed, and go
    """

    def __init__(self, folder: Path, stage: str, step: int) -> None:
        self._stage, self._path = stage, folder / CURVE
        self._forget_after(step)
        self._writer = SummaryWriter(str(folder / EVENTS / stage), purge_step=step + 1)

    def add(
        self, step: int, pace: Mapping[str, float], losses: Mapping[str, float],
        held_out: Mapping[str, float],
    ) -> None:  # fmt: skip
        """
        Append a row.

        :param pace: seconds of a step, learning rate
        :param held_out: figures of validation recordings, where they were measured
        """
        parts = {'pace': pace, 'loss': losses, 'held_out': held_out}
        for part, figures in parts.items():
            for name, figure in figures.items():
                self._writer.add_scalar(f'{part}/{name}', figure, step)
        self._writer.flush()
        row: dict[str, Any] = {'stage': self._stage, 'step': step}
        for figures in parts.values():
            row |= figures
        try:
            with self._path.open('a', encoding='utf-8') as file:
                file.write(json.dumps(row) + '\n')
        except OSError as error:
            error.filename = str(self._path)  # a full disk does not tell it
            raise

    def close(self) -> None:
        """End the event file."""
        self._writer.close()

    def _forget_after(self, step: int) -> None:
        if not self._path.is_file():
            return
        kept = []
        for line in self._path.read_text(encoding='utf-8').splitlines():
            try:
                row = json.loads(line)
            except ValueError:  # killed while writing it
                continue
            if row['stage'] != self._stage or row['step'] <= step:
                kept.append(line)
        write_atomically(self._path, ''.join(f'{line}\n' for line in kept))
