# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
As session.py, with the inputs in files: TARGET is the name of the folder of each.

usage: python -m fuzz.corpus_session FOLDER FIRST FILE...; FIRST is the index of the first file
"""

import sys
from pathlib import Path

from fuzz.session import READ, Session, limit_process, seeds_of, tell
from fuzz.targets import TARGETS


def main() -> None:
    """Read each file once; print crashes."""
    folder, first = Path(sys.argv[1]), int(sys.argv[2])
    paths = list(map(Path, sys.argv[3:]))
    limit_process()
    session = Session(folder)
    for number, path in enumerate(paths[first:], first):
        name = path.parent.name
        session.note(name, number, READ)
        seeds_of(name, TARGETS[name], folder)  # writes the folder around the file
        crash, _ = session.check(name, TARGETS[name], path.read_bytes())
        if crash is not None:
            tell(crash, folder)


if __name__ == '__main__':
    main()
