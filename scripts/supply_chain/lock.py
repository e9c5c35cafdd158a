# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Write the lock files in requirements/lock/ and requirements/lock_ros/, by uv.

One resolution covers all requirements, so that extras can be installed together; each lock is then
a part of it. Present versions stay where they still fit, unless --upgrade is given.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from scripts.supply_chain import locks

OPTIONS = (
    '--quiet', '--universal', '--python-version', locks.PYTHON, '--no-header', '--no-annotate',
    '--no-emit-index-url', '--no-emit-find-links',
)  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser('scripts/lock', description=__doc__)
    parser.add_argument(
        '--upgrade', action='store_true', help='Take the newest versions that the ranges allow'
    )
    args = parser.parse_args(argv)
    wanted = locks.inputs()
    locks.FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        whole = Path(temporary) / 'whole.txt'
        if not args.upgrade:
            whole.write_text(_present(), encoding='utf-8')
        shared = [line for name, one in wanted.items() if name != 'robot_files' for line in one]
        limits = Path(temporary) / 'constraints.txt'
        limits.write_text('\n'.join(locks.constraints()), encoding='utf-8')
        compile_lock(shared, whole, '--constraint', str(limits))
        for name, requirements in wanted.items():
            alone = ('--no-deps',) if name == 'robot_files' else ('--constraint', str(whole))
            out = Path(temporary) / f'{name}.txt'
            compile_lock(requirements, out, '--generate-hashes', *alone)
            content = locks.header(name, requirements) + out.read_text(encoding='utf-8')
            locks.path_of(name).write_text(content, encoding='utf-8')
            print(f'{locks.path_of(name).relative_to(locks.ROOT)}: {len(locks.read(name))}')
    lock_ros(args.upgrade)
    for path in set(locks.FOLDER.glob('*.txt')) - set(map(locks.path_of, wanted)):
        path.unlink()
    return 0


def lock_ros(upgrade: bool) -> None:
    """Write the locks of scripts/ros_matrix; optional packages fit those of their release."""
    locks.ROS_FOLDER.mkdir(parents=True, exist_ok=True)
    for name in locks.ROS_LOCKS:
        path, release = locks.ROS_FOLDER / f'{name}.txt', name.removesuffix('_optional')
        lines = [f'{one} ; {locks.ROS_PYTHONS[release]}' for one in locks.ros_inputs(name)]
        limits = ('--constraint', str(locks.ROS_FOLDER / f'{release}.txt'))
        with tempfile.TemporaryDirectory() as temporary:
            out = Path(temporary) / path.name
            if path.exists() and not upgrade:
                out.write_text(path.read_text(encoding='utf-8'), encoding='utf-8')
            compile_lock(lines, out, '--generate-hashes', *(limits if release != name else ()))
            content = locks.ros_header(name) + out.read_text(encoding='utf-8')
        path.write_text(content, encoding='utf-8')
        print(f'{path.relative_to(locks.ROOT)}: {len(locks.parse(content))}')


def compile_lock(requirements: Sequence[str], out: Path, *options: str) -> None:
    """Resolve requirements into a file."""
    source = out.with_suffix('.in')
    source.write_text('\n'.join(requirements), encoding='utf-8')
    command = ['uv', 'pip', 'compile', *OPTIONS, *options, '--output-file', str(out), str(source)]
    subprocess.run(command, check=True)


def _present() -> str:
    """Return the versions of the present locks, which uv prefers."""
    entries = {
        str(entry.requirement)
        for path in locks.FOLDER.glob('*.txt') if path.stem != 'robot_files'
        for entry in locks.read(path.stem)
    }  # fmt: skip
    return '\n'.join(sorted(entries))


if __name__ == '__main__':
    sys.exit(main())
