# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
One part of the measurement: its arguments, its time limit, and its JSON file.

Each row is written when it is known; a failed row does not affect the others.
"""

import argparse
import gc
import json
import math
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import torch

from viva_ros.core.files import write_atomically

TAIL: Final = 12  # lines of a traceback that are kept
DIGITS: Final = 6
Row = dict[str, Any]
Body = Callable[['Part'], None]


class SkipError(Exception):
    """A row that cannot be measured here, with the reason."""


class Part:
    """
    Arguments and results of a part.

    :param out: JSON file
    :param seconds: time after which no row is started
    :param tiny: small sizes and few repetitions, to test the script itself
    """

    def __init__(self, out: Path, seconds: float, device: str, tiny: bool) -> None:
        self.device, self.tiny = torch.device(device), tiny
        self._out, self._end = out, time.monotonic() + seconds
        self.rows: dict[str, Row] = {}
        self.content: dict[str, Any] = {'torch': _versions(self.device), 'rows': self.rows}
        self.save()

    @property
    def left(self) -> float:
        """Return the remaining time, s."""
        return self._end - time.monotonic()

    @property
    def failed(self) -> bool:
        """Return whether a row has an error."""
        return any('error' in row for row in self.rows.values())

    def save(self) -> None:
        """Write the file atomically."""
        write_atomically(self._out, json.dumps(_rounded(self.content), indent=1) + '\n')

    def put(self, name: str, value: Any) -> None:
        """Write an entry outside of the rows."""
        self.content[name] = value
        self.save()

    def row(self, name: str, work: Callable[[], Mapping[str, Any]], needs: float = 2.0) -> Row:
        """
        Measure one row and write it, or its error, or why it is skipped.

        :param needs: seconds that must be left to begin
        """
        began, row = time.monotonic(), self.rows.setdefault(name, {})
        try:
            if self.left < needs:
                raise SkipError(f'{self.left:.0f} s left, {needs:.0f} s needed')
            row.update(work())
        except SkipError as reason:
            row['skipped'] = str(reason)
        except Exception as error:
            row['error'] = f'{type(error).__name__}: {error}'[:500]
            row['traceback'] = traceback.format_exc().splitlines()[-TAIL:]
            free(self.device)
        row['took_s'] = time.monotonic() - began
        self.save()
        print(f'  {name}: {_short(row)}', flush=True)
        return row

    def need_cuda(self, what: str) -> None:
        """
        Skip a row that only a GPU has.

        :raises SkipError: on another device
        """
        if self.device.type != 'cuda':
            raise SkipError(f'{what} needs CUDA')


def run(description: str, body: Body) -> int:
    """Read the arguments, run a part, and return 1 if anything failed."""
    parser = argparse.ArgumentParser(description=description.strip().split('\n\n')[0])
    parser.add_argument('--out', type=Path, required=True, help='JSON file of the results')
    parser.add_argument('--seconds', type=float, default=600.0,
                        help='Time limit, s (default: %(default)g)')  # fmt: skip
    parser.add_argument('--device', choices=('cuda', 'cpu'), default='cuda',
                        help='Device (default: %(default)s)')  # fmt: skip
    parser.add_argument('--tiny', action='store_true',
                        help='Small sizes and few repetitions, to test the script')  # fmt: skip
    args = parser.parse_args()
    part = Part(args.out, args.seconds, args.device, args.tiny)
    try:
        body(part)
    except Exception as error:
        part.put('error', f'{type(error).__name__}: {error}'[:500])
        part.put('traceback', traceback.format_exc().splitlines()[-TAIL:])
        traceback.print_exc()
        return 1
    part.put('complete', True)
    return int(part.failed)


def free(device: torch.device) -> None:
    """Return unused memory to the device; an error of the device is left to the next row."""
    gc.collect()
    if device.type == 'cuda':
        try:
            torch.cuda.synchronize()
            torch.cuda.empty_cache()
        except RuntimeError as error:
            print(f'  the device does not recover: {error}', file=sys.stderr)


def _versions(device: torch.device) -> Row:
    found: Row = {'version': torch.__version__, 'cuda': torch.version.cuda}
    if device.type == 'cuda':
        facts = torch.cuda.get_device_properties(0)
        found |= {
            'device': facts.name, 'capability': f'{facts.major}.{facts.minor}',
            'memory_gb': facts.total_memory / 1e9, 'processors': facts.multi_processor_count,
            'cudnn': torch.backends.cudnn.version(),
        }  # fmt: skip
    return found


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f'{value:.{DIGITS}g}') if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return value


def _short(row: Row) -> str:
    """Return a row as one line, without long entries."""
    plain = {k: v for k, v in row.items() if isinstance(v, float | int | str | bool)}
    return ', '.join(f'{key} {_rounded(value)}' for key, value in plain.items())[:300]
