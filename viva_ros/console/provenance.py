# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Provenance of a run: command, revision, libraries, hardware."""

import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import viva_ros
from viva_ros.core.foreign_text import ERROR_LENGTH, shown


def command_line(name: str) -> str:
    """
    Return the running command as a user types it, for each way to start it.

    :param name: command of viva, or path of a script, such as 'scripts/bench'
    """
    arguments = sys.argv[1:]
    program = [name] if '/' in name else ['viva', name]
    return shlex.join([*program, *arguments[arguments[:1] == [name] :]])


def made_by(name: str, quote: str = '') -> str:
    """
    Return a line with the running command, which names the recordings, and the date.

    :param name: see ``command_line``
    :param quote: around the command, such as ` in Markdown
    """
    command = shown(command_line(name), ERROR_LENGTH)
    quote *= max(map(len, re.findall(f'{quote}+', command)), default=0) + 1 if quote else 1
    return f'Made by {quote}{command}{quote} on {datetime.now(UTC).date().isoformat()}.'


CPUS: Final = Path('/proc/cpuinfo')


def processor() -> str:
    """Return the name of the processor from Linux, else from Python."""
    try:
        lines = CPUS.read_text(encoding='utf-8', errors='replace').splitlines()
    except OSError:
        lines = []
    names = [line.partition(':')[2].strip() for line in lines if line.startswith('model name')]
    return names[0] if names else platform.processor() or platform.machine()


def versions(names: Sequence[str]) -> dict[str, str]:
    """Return the versions of the installed libraries by name."""
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
    :returns: None if unknown: installed as a wheel, or without git
    """
    top = _git(package, 'rev-parse', '--show-toplevel')
    if (
        top is None or Path(top).resolve() != package.resolve().parent
    ):  # the repository of another project
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
