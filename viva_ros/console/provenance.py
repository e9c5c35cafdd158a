# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a run was started from and on: revision, libraries, hardware."""

import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import viva_ros


def command_line(name: str) -> str:
    """
    Return the running command as it is typed, whichever way it was started.

    :param name: of a command of viva, or the path of a script, such as 'scripts/bench'
    """
    arguments = sys.argv[1:]
    program = [name] if '/' in name else ['viva', name]
    return shlex.join([*program, *arguments[arguments[:1] == [name] :]])


CPUS: Final = Path('/proc/cpuinfo')


def processor() -> str:
    """Name the processor as Linux does, else as Python does."""
    try:
        lines = CPUS.read_text(encoding='utf-8', errors='replace').splitlines()
    except OSError:
        lines = []
    names = [line.partition(':')[2].strip() for line in lines if line.startswith('model name')]
    return names[0] if names else platform.processor() or platform.machine()


def versions(names: Sequence[str]) -> dict[str, str]:
    """Return the versions of libraries by name; what is not installed is left out."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def revision(package: Path = Path(viva_ros.__file__).parent) -> dict[str, Any] | None:
    """
    Return the git revision of the source tree, and whether files differ from it.

    :param package: folder of the source
    :returns: None where it is unknown: installed as a wheel, or git is not there
    """
    top = _git(package, 'rev-parse', '--show-toplevel')
    if top is None or Path(top).resolve() != package.resolve().parent:  # another one's repository
        return None
    changes = _git(package, 'status', '--porcelain', '--untracked-files=no')
    return {'revision': _git(package, 'rev-parse', 'HEAD'), 'dirty': bool(changes)}


def _git(folder: Path, *command: str) -> str | None:
    try:
        done = subprocess.run(
            ['git', '-C', str(folder), *command], capture_output=True, text=True, timeout=20,
            check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
