# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
List the deciding files of an engine in its engine.json, with size and SHA-256.

These are engine file, weights, external data of ONNX and calibrations. Other files, folders and
links are not listed, and no engine reads them; the command prints their names.

For engines of an earlier format, and after a calibration was copied into the folder by hand.
Engine file, weights and fingerprint must be those that engine.json was written for: they are not
changed, and an engine that was changed is not listed. Check the origin of the files first: a robot
runs what is listed.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from viva_ros.core.foreign_text import shown, shown_list
from viva_ros.engine.manifest import MANIFEST, stamp


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        'viva stamp', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('engine', type=Path, help='Engine folder')
    folder = parser.parse_args(argv).engine
    made = stamp(folder)
    count = len(made.files)
    print(f'engine {shown(made.fingerprint)} in {shown(folder)}, {count:d} files are listed:')
    for name, one in made.files.items():
        print(f'  {shown(one.sha256[:16])}  {one.size:12d}  {shown(name)}')
    others = sorted({entry.name for entry in folder.iterdir()} - {*made.files, MANIFEST})
    if others:
        print(f'not listed, and not read: {shown_list(others)}')
    return 0
