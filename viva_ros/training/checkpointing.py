# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The state of a stage on disk, in safetensors: nothing that executes, each file whole or absent.

Where weights are spread over processes, each writes its own part, named by step; an index, written
when all parts are there, says which step counts. So a run that is killed at any moment, in any
process, finds the state before or the state after, never a mixture.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from viva_ros.core.errors import ConfigurationError, RecordingError
from viva_ros.core.files import write_atomically


@dataclass(frozen=True)
class StateFile:
    """
    Where one process keeps the state of a stage.

    :param parts: 1 unless weights are spread over processes
    :param rank: of this process
    :param wait: returns when all processes have called it
    """

    folder: Path
    stage: str
    rank: int = 0
    parts: int = 1
    wait: Callable[[], None] = lambda: None

    def write(self, step: int, tensors: Mapping[str, Tensor], about: Mapping[str, str]) -> None:
        """Write a state; all processes call."""
        content = {key: value.contiguous().cpu().clone() for key, value in tensors.items()}
        metadata = {'step': str(step), **about}
        if self.parts == 1:
            if self.rank == 0:
                write_atomically(self._path, save(content, metadata))
            self.wait()
            return
        write_atomically(self._part(step), save(content, metadata))
        self.wait()
        if self.rank == 0:
            write_atomically(self._index, json.dumps({'step': step, 'parts': self.parts}))
            for path in self.folder.glob(f'{self.stage}.state-*'):
                if path.name.split('-')[1] != f'{step:08d}':
                    path.unlink(missing_ok=True)
        self.wait()

    def read(self) -> tuple[dict[str, str], dict[str, Tensor]] | None:
        """
        Give metadata and tensors of the state written last; None where there is none.

        :raises ConfigurationError: if it is of another number of processes
        :raises RecordingError: if it cannot be read
        """
        self.wait()  # none deletes what another has not seen
        if self.rank == 0:
            for path in self.folder.glob(f'.{self.stage}.state*.tmp'):  # killed while writing
                path.unlink(missing_ok=True)
        path = self._path if self.parts == 1 else self._counted()
        other = self._index if self.parts == 1 else self._path
        if other.is_file():
            raise ConfigurationError(
                f'{other} was written with{"" if self.parts == 1 else "out"} --shard: go on as '
                'begun, or choose another --out'
            )
        if path is None or not path.is_file():
            return None
        try:
            with safe_open(path, 'pt') as file:
                names = file.keys()
                return file.metadata(), {name: file.get_tensor(name) for name in names}
        except (OSError, SafetensorError) as error:
            raise RecordingError(f'{path} cannot be read ({error}): delete it') from error

    def _counted(self) -> Path | None:
        if not self._index.is_file():
            return None
        content: dict[str, Any] = json.loads(self._index.read_text(encoding='utf-8'))
        if content['parts'] != self.parts:
            raise ConfigurationError(
                f'{self._index} is of {content["parts"]} processes, now there are {self.parts}: '
                f'go on with {content["parts"]}, or choose another --out'
            )
        return self._part(content['step'])

    @property
    def _path(self) -> Path:
        return self.folder / f'{self.stage}.state'

    @property
    def _index(self) -> Path:
        return self.folder / f'{self.stage}.state.json'

    def _part(self, step: int) -> Path:
        return self.folder / f'{self.stage}.state-{step:08d}-{self.rank}of{self.parts}'
