#!/usr/bin/env python3
# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Convert a Zarr store to an HDF5 file for import: needs h5py and zarr (pip install zarr), 2 or 3.

A replay buffer, with rows of all episodes in `data` and their ends in `meta/episode_ends` (as of
Diffusion Policy and UMI), becomes data/demo_0, ...; any other store keeps its paths. Arrays are
copied as they are, attributes too; a robot file names the columns and the rate.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

try:
    import zarr
except ModuleNotFoundError as error:
    sys.exit(f'zarr_to_hdf5: {error}: run "pip install zarr"')

ENDS = 'episode_ends'
ROWS = 256  # copied at once


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser('zarr_to_hdf5.py', description=__doc__)
    parser.add_argument('store', type=Path)
    parser.add_argument('out', type=Path, help='HDF5 file')
    args = parser.parse_args()
    if args.out.exists():
        print(f'zarr_to_hdf5: {args.out} exists: delete it, or name another file', file=sys.stderr)
        return 1
    temporary = args.out.with_name(f'.{args.out.name}.tmp')
    try:
        with h5py.File(temporary, 'w') as file:
            count = convert(zarr.open_group(str(args.store), mode='r'), file)
        with open(temporary, 'rb') as written:
            os.fsync(written.fileno())
        temporary.replace(args.out)
    except (OSError, ValueError, KeyError) as error:
        print(f'zarr_to_hdf5: {args.store}: {error}', file=sys.stderr)
        return 1
    finally:
        temporary.unlink(missing_ok=True)
    print(f'{args.out}: {count} episodes')
    return 0


def convert(store: Any, file: Any) -> int:
    """Copy a store; return the number of its episodes."""
    known = dict(arrays(store))
    ends = next((one for key, one in known.items() if key == f'meta/{ENDS}'), None)
    put_attributes(store, file)
    if ends is None:
        for key, one in known.items():
            copy(one, file, key, 0, one.shape[0] if one.shape else 0)
        return 1
    rows = {key: one for key, one in known.items() if key.startswith('data/')}
    begin, stops = 0, [int(end) for end in np.ravel(np.asarray(ends[...]))] if ends.size else []
    if not stops or stops[0] < 1 or stops != sorted(set(stops)):
        raise ValueError(f'{ENDS} is {stops}, must be ascending from 1 on')
    others = {key: one.shape for key, one in rows.items() if one.shape[:1] != (stops[-1],)}
    if others:
        raise ValueError(f'{ENDS} is up to {stops[-1]}, which does not fit the shapes {others}')
    for number, end in enumerate(stops):
        for key, one in rows.items():
            copy(one, file, f'data/demo_{number}/{key.removeprefix("data/")}', begin, end)
        begin = end
    return len(stops)


def arrays(group: Any, above: str = '') -> Iterator[tuple[str, Any]]:
    """Yield the arrays of a store with their paths."""
    for name, one in group.arrays():
        yield f'{above}{name}', one
    for name, one in group.groups():
        yield from arrays(one, f'{above}{name}/')


def copy(source: Any, file: Any, key: str, begin: int, end: int) -> None:
    """Copy rows [begin, end) of an array."""
    if not source.shape:
        file[key] = source[...]
        return
    shape = (end - begin, *source.shape[1:])
    chunks = (1, *shape[1:]) if len(shape) == 4 else None  # images are read one by one
    target = file.create_dataset(key, shape, source.dtype, chunks=chunks)
    for at in range(0, len(target), ROWS):
        target[at : at + ROWS] = source[begin + at : min(begin + at + ROWS, end)]
    put_attributes(source, target)


def put_attributes(source: Any, target: Any) -> None:
    """Copy attributes that HDF5 can hold: numbers, texts and lists of them."""
    for name, value in dict(source.attrs).items():
        if isinstance(value, str | int | float | list):
            target.attrs[name] = value


if __name__ == '__main__':
    sys.exit(main())
