# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Write the generated files, or check that they are up to date.

Exit code 0: all files are up to date (``--check``) or written. Exit code 1: a file is stale.
"""

import argparse
import difflib
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from scripts.reference_pages import commands, config, interfaces, parameters, topics
from viva_ros.nodes.settings import SETTINGS

ROOT = Path(__file__).parents[2]

Make = Callable[[], str]

#: What makes each generated file, by path below the root of the repository.
FILES: Mapping[str, Make] = {
    **{f'config/{node}.yaml': partial(config.make, node) for node in SETTINGS},
    'docs/reference/parameters.md': parameters.make,
    'docs/reference/topics.md': topics.make,
    'docs/reference/messages.md': partial(interfaces.make, ROOT),
    'docs/reference/commands.md': commands.make,
}


def difference(path: Path, made: str) -> str:
    """Return the difference between a file and what is generated; '' if there is none."""
    present = path.read_text(encoding='utf-8') if path.exists() else ''
    lines = [text.splitlines(keepends=True) for text in (present, made)]
    return ''.join(difflib.unified_diff(*lines, str(path), 'generated'))


def main(
    argv: Sequence[str] | None = None, root: Path = ROOT, files: Mapping[str, Make] = FILES
) -> int:
    """Run the script."""
    parser = argparse.ArgumentParser('scripts/reference', description=__doc__)
    parser.add_argument(
        '--check', action='store_true', help='write nothing, print a diff of each stale file'
    )
    check = parser.parse_args(argv).check
    stale = 0
    for name, make in files.items():
        path, made = root / name, make()
        if not (diff := difference(path, made)):
            continue
        stale += 1
        if check:
            sys.stdout.write(diff)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(made, encoding='utf-8')
    if check and stale:
        print(f'{stale} generated files are stale: run scripts/reference', file=sys.stderr)
        return 1
    print(f'{len(files)} generated files: {stale} written, {len(files) - stale} up to date')
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
