#!/usr/bin/env python3
# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Convert an RLDS dataset (TensorFlow Datasets, Open X-Embodiment) to an HDF5 file for import.

Needs numpy and h5py, not TensorFlow. Images are copied as they are encoded. Nothing is made up: a
robot file names the columns of the state and the rate, which RLDS does not have, see
config/robots/widowx_bridge.yaml. A camera with one and the same image in all steps is a
placeholder, and is left out of the episode.
"""

import argparse
import json
import math
import os
import struct
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

STEPS, ABOUT = 'steps/', 'episode_metadata/'
TASK = 'language_instruction'
NUMBERS = (
    'bool',
    'float16',
    'float32',
    'float64',
    *(f'{sign}int{size}' for sign in ('', 'u') for size in (8, 16, 32, 64)),
)
TABLE = np.arange(256, dtype=np.uint32)  # of CRC-32C
for _ in range(8):
    TABLE = TABLE >> 1 ^ (TABLE & 1) * np.uint32(0x82F63B78)


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser('rlds_to_hdf5.py', description=__doc__)
    parser.add_argument('dataset', type=Path, help='Folder with features.json')
    parser.add_argument('out', type=Path, help='HDF5 file')
    parser.add_argument('--split', default='train')
    args = parser.parse_args()
    try:
        count, notes = convert(args.dataset, args.out, args.split)
    except (OSError, ValueError, KeyError, struct.error) as error:
        print(f'rlds_to_hdf5: {args.dataset}: {error}', file=sys.stderr)
        return 1
    for text in sorted(notes):
        print(f'note: {text}')
    print(f'{args.out}: {count} episodes')
    return 0


def convert(dataset: Path, out: Path, split: str) -> tuple[int, set[str]]:
    """Write the episodes of a split as data/demo_0, ...; return their number and notes."""
    if out.exists():
        raise ValueError(f'{out} exists: delete it, or name another file')
    if not (dataset / 'features.json').is_file():
        raise ValueError('it has no features.json: name the folder of a version, such as 1.0.0')
    features = dict(flat(json.loads((dataset / 'features.json').read_text())))
    files = sorted(dataset.glob(f'*-{split}.tfrecord*'))
    if not files:
        known = sorted({path.name.split('.tfrecord')[0] for path in dataset.glob('*.tfrecord*')})
        raise ValueError(f'it has no split {split!r}, but {", ".join(known) or "no *.tfrecord-*"}')
    notes: set[str] = set()
    temporary = out.with_name(f'.{out.name}.tmp')
    count = 0
    try:
        with h5py.File(temporary, 'w') as file:
            data = file.create_group('data')
            for path in files:
                for record in records(path):
                    write(data.create_group(f'demo_{count}'), example(record), features, notes)
                    count += 1
                    if sys.stderr.isatty():
                        print(f'\r{path.name}: {count} episodes', end='', file=sys.stderr)
        with open(temporary, 'rb') as written:
            os.fsync(written.fileno())
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)
    return count, notes


def flat(feature: Mapping[str, Any], above: str = '') -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the path and the description of each feature."""
    if 'featuresDict' in feature:
        for name, one in feature['featuresDict']['features'].items():
            yield from flat(one, f'{above}/{name}' if above else name)
    elif 'sequence' in feature and f'{above}/' == STEPS:
        yield from flat(feature['sequence']['feature'], above)
    else:
        yield above, feature


def write(
    group: Any, found: Mapping[str, Any], features: Mapping[str, Any], notes: set[str]
) -> None:
    """Write one episode: steps as datasets, its metadata as attributes."""
    texts: dict[str, None] = {}
    lengths: dict[str, int] = {}
    for key, feature in features.items():
        values, tensor = found.get(key), feature.get('tensor', {})
        is_text = 'text' in feature or tensor.get('dtype') in ('string', 'object')
        if values is None:
            notes.add(f'{key} is left out of an episode that does not have it')
        elif key.startswith(ABOUT):
            group.attrs.update({key.removeprefix(ABOUT): one for one in values[:1]})
        elif not key.startswith(STEPS) or not (
            is_text or 'image' in feature or tensor.get('encoding') == 'none'
        ):
            notes.add(f'{key} is left out: its form is not known')
        elif is_text:
            lengths[key] = len(values)
            if key == STEPS + TASK:
                texts |= dict.fromkeys(one.decode() for one in values if one.strip())
            else:
                notes.add(f'{key} is left out: it is a text')
        elif 'image' in feature:
            lengths[key] = len(values)
            if is_color(feature['image']):
                write_images(group, key, values, found, notes)
            else:
                notes.add(f'{key} is left out: it is no colour image of 8 bits, such as depth')
        elif tensor['dtype'] not in NUMBERS:
            notes.add(f'{key} is left out: its numbers are {tensor["dtype"]}')
        else:
            shape = [int(one) for one in tensor.get('shape', {}).get('dimensions', [])]
            rows = np.asarray(values, dtype=tensor['dtype']).reshape(-1, *shape)
            lengths[key] = len(rows)
            group.create_dataset(key.removeprefix(STEPS), data=rows)
    if len(set(lengths.values())) != 1:
        raise ValueError(f'{group.name} has different numbers of steps: {lengths}')
    if texts:
        group.attrs[TASK] = list(texts)


def is_color(image: Mapping[str, Any]) -> bool:
    """Return whether images are in colour: TensorFlow packs depth of 32 bits into four bytes."""
    sides = image.get('shape', {}).get('dimensions', [])
    return image.get('dtype', 'uint8') == 'uint8' and (len(sides) < 3 or str(sides[2]) in '34')


def write_images(
    group: Any, key: str, values: list[bytes], found: Mapping[str, Any], notes: set[str]
) -> None:
    """Write the images of a camera as they are encoded; a placeholder is left out."""
    name = key.removeprefix(STEPS)
    if len(values) > 1 and len(set(values)) == 1:
        notes.add(f'{key} is left out of an episode in which it has one image: a placeholder')
        return
    about = f'{ABOUT}has_{name.rpartition("/")[2]}'
    if about in found and not any(found[about]):
        notes.add(f'{about} is false in an episode that has different images: they are kept')
    rows = group.create_dataset(name, (len(values),), h5py.vlen_dtype(np.uint8))
    for row, content in enumerate(values):
        rows[row] = np.frombuffer(content, dtype=np.uint8)


def records(path: Path) -> Iterator[bytes]:
    """Yield the records of a TFRecord file; the checksums of length and content are compared."""
    with path.open('rb') as file:
        while head := file.read(12):
            if len(head) < 12 or masked(crc32c(head[:8])) != struct.unpack('<I', head[8:])[0]:
                raise ValueError(f'{path.name} is damaged or truncated')
            (length,) = struct.unpack('<Q', head[:8])
            content, check = file.read(length), file.read(4)
            if len(check) < 4 or masked(crc32c(content)) != struct.unpack('<I', check)[0]:
                raise ValueError(f'{path.name} is damaged or truncated')
            yield content


def crc32c(content: bytes) -> int:
    """Return the checksum; it is that of N parts of N bytes at once, joined, and of the rest."""
    side = math.isqrt(len(content))
    parts = np.frombuffer(content, np.uint8, side * side).reshape(side, side)
    bits = np.uint32(1) << np.arange(32, dtype=np.uint32)
    found = np.r_[np.zeros(side, np.uint32), bits]  # the last: each bit, moved by N bytes
    for column in np.pad(parts, ((0, 32), (0, 0))).T.copy():
        found = found >> 8 ^ TABLE[(found ^ column) & 0xFF]
    value, moved = 0xFFFFFFFF, found[side:].tolist()
    for part in found[:side].tolist():
        for bit, one in enumerate(moved):
            part ^= one if value >> bit & 1 else 0
        value = part
    for byte in content[side * side :]:
        value = value >> 8 ^ int(TABLE[(value ^ byte) & 0xFF])
    return value ^ 0xFFFFFFFF


def masked(check: int) -> int:
    """Return a checksum as TFRecord stores it."""
    return ((check >> 15 | check << 17) + 0xA282EAD8) & 0xFFFFFFFF


def example(content: bytes) -> dict[str, Any]:
    """Return the features of a tf.train.Example by name: lists of bytes, or arrays of numbers."""
    found: dict[str, Any] = {}
    for _, features in fields(content):
        for _, entry in fields(features):
            parts = dict(fields(entry))
            kind, listed = next(iter(fields(parts.get(2, b''))), (0, b''))
            values = [value for _, value in fields(listed)]
            if kind == 1:
                found[parts[1].decode()] = values
            elif kind == 2:
                whole = b''.join(values)
                found[parts[1].decode()] = np.frombuffer(whole, '<f4')
            elif kind == 3:
                numbers = [one for part in values for one in integers(part)]
                found[parts[1].decode()] = np.array(numbers, dtype=np.uint64).astype(np.int64)
    return found


def fields(content: bytes) -> Iterator[tuple[int, Any]]:
    """Yield number and content of the fields of a protobuf message; integers as bytes, too."""
    at = 0
    while at < len(content):
        tag, at = varint(content, at)
        begin = at
        if tag & 7 == 2:
            length, begin = varint(content, at)
            at = begin + length
        elif tag & 7 == 0:
            _, at = varint(content, at)
        else:
            at += {5: 4, 1: 8}[tag & 7]
        if at > len(content):
            raise ValueError('a record is damaged')
        yield tag >> 3, content[begin:at]


def varint(content: bytes, at: int) -> tuple[int, int]:
    """Return an integer of variable length, and the place behind it."""
    value = shift = 0
    while True:
        value |= (content[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if content[at - 1] < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at


def integers(content: bytes) -> Iterator[int]:
    """Yield packed integers."""
    at = 0
    while at < len(content):
        value, at = varint(content, at)
        yield value


if __name__ == '__main__':
    sys.exit(main())
