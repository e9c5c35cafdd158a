# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`scripts/fuzz`: read millions of malformed inputs by all readers of the package."""

import argparse
import json
import os
import platform
import re
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from fuzz import driver
from fuzz.targets import TARGETS
from viva_ros.core.files import write_atomically


def main(argv: Sequence[str] | None = None) -> int:
    """Fuzz; exit code 1 if there is a crash."""
    args = parse(argv)
    names = args.targets or list(TARGETS)
    module = 'fuzz.guided' if args.guided else 'fuzz.session'

    def fuzz(name: str) -> driver.Findings:
        with tempfile.TemporaryDirectory(prefix=f'viva_fuzz_{name}_') as folder:
            found = driver.run([name], Path(folder), args.seed, 0, args.seconds, module)
        if args.crashes is not None:
            keep(found, args.crashes)
        one = found.summaries.get(name)
        print(
            f'{name}: {one.cases if one else 0} cases, {len(found.crashes)} kinds of crash',
            flush=True,
        )
        return found

    with ThreadPoolExecutor(args.jobs) as pool:
        found = list(pool.map(fuzz, names))
    content = report(found, names, args)
    write_atomically(args.out, json.dumps(content, indent=1) + '\n')
    write_atomically(args.out.with_suffix('.md'), markdown(content))
    print(args.out)
    return 1 if content['crashes'] else 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser('scripts/fuzz', description=__doc__)
    parser.add_argument('targets', nargs='*', metavar='TARGET',
                        help=f'Readers (default: all): {", ".join(TARGETS)}')  # fmt: skip
    parser.add_argument('--seconds', type=float, default=60.0,
                        help='Time for each reader, s (default: %(default)g)')  # fmt: skip
    parser.add_argument('--seed', type=int, default=0,
                        help='Seed of the inputs (default: %(default)s)')  # fmt: skip
    parser.add_argument('--jobs', type=int, default=1,
                        help='Readers at the same time (default: %(default)s)')  # fmt: skip
    parser.add_argument('--guided', action='store_true',
                        help='Let atheris choose inputs by their branches')  # fmt: skip
    parser.add_argument('--crashes', type=Path,
                        help='Folder for the inputs of crashes (default: not kept)')  # fmt: skip
    parser.add_argument('--out', type=Path, default=Path('benchmarks/results/fuzz.json'),
                        help='Figures; .md is beside it (default: %(default)s)')  # fmt: skip
    args = parser.parse_args(argv)
    unknown = [name for name in args.targets if name not in TARGETS]
    if unknown:
        parser.error(f'TARGET is {unknown[0]!r}, must be one of {", ".join(TARGETS)}')
    if not args.seconds > 0.0 or args.jobs < 1:
        parser.error(f'--seconds is {args.seconds:g} and --jobs {args.jobs}, must be above 0')
    if args.out.suffix != '.json' or args.out.is_dir():
        parser.error(f'--out is {args.out}, must be a file NAME.json: NAME.md is written, too')
    for option, folder in (('--out', args.out.parent), ('--crashes', args.crashes)):
        if folder is not None and (fault := unwritable(folder)):
            parser.error(f'{option}: {folder} is not a folder to write to ({fault}): name another')
    return args


def unwritable(folder: Path) -> str:
    """Make a folder; return why no file can be written there, or '' if one can."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return ''
    except OSError as error:
        return str(error)


def keep(found: driver.Findings, folder: Path) -> None:
    """Write the shortest input of each crash, and its traceback, by names for the corpus."""
    for (name, signature), (crash, data) in found.crashes.items():
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        file = re.sub(r'[^\w-]+', '_', signature.replace(' in ', '-')).strip('_')
        (place / file).write_bytes(data)
        (place / f'{file}.txt').write_text(crash.text)


def report(
    found: Sequence[driver.Findings], names: Sequence[str], args: argparse.Namespace
) -> dict[str, Any]:
    """Return figures of each reader, and all crashes."""
    rows = {name: one.summaries[name] for name, one in zip(names, found, strict=True)
            if name in one.summaries}  # fmt: skip
    return {
        'format': 'viva_ros fuzz 1', 'date': date.today().isoformat(),
        'command': ' '.join(['scripts/fuzz', *sys.argv[1:]]), 'seed': args.seed,
        'guided': args.guided, 'hardware': f'{platform.machine()}, {os.cpu_count()} cores',
        'cases': sum(row.cases for row in rows.values()),
        'targets': {
            name: {'what': TARGETS[name].what,
                   **{key: round(value, 3) if isinstance(value, float) else value
                      for key, value in asdict(row).items() if key != 'target'}}
            for name, row in rows.items()
        },
        'crashes': [
            {'target': name, 'signature': signature, 'count': one.counts[name, signature],
             'bytes': len(data)}
            for one in found for (name, signature), (_, data) in one.crashes.items()
        ],
    }  # fmt: skip


def markdown(content: dict[str, Any]) -> str:
    """Return the report as a page."""
    lines = [
        '# Fuzzing', '',
        f'`{content["command"]}`, {content["date"]}, {content["hardware"]}: '
        f'{content["cases"]:,} inputs.', '',
        '| target | input | cases | refused | s | longest case, s | peak memory, MiB | '
        'crashing inputs | kinds of crash |',
        '|---|---|---|---|---|---|---|---|---|',
    ]  # fmt: skip
    for name, row in content['targets'].items():
        counts = [one['count'] for one in content['crashes'] if one['target'] == name]
        lines.append(
            f'| {name} | {row["what"]} | {row["cases"]:,} | {row["refused"]:,} | '
            f'{row["seconds"]:.0f} | {row["longest"]:.2f} | {row["memory"]:.0f} | '
            f'{sum(counts)} | {len(counts)} |'
        )
    if content['crashes']:
        lines += ['', '## Kinds of crash', '', '| target | kind of crash | crashing inputs |',
                  '|---|---|---|']  # fmt: skip
        lines += [f'| {one["target"]} | `{one["signature"]}` | {one["count"]} |'
                  for one in content['crashes']]  # fmt: skip
    return '\n'.join(lines) + '\n'


if __name__ == '__main__':
    raise SystemExit(main())
