# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The lock files in requirements/lock/: what each is made from, and what it holds.

Those in requirements/lock_ros/ are for scripts/ros_matrix: each release of ROS 2 is resolved
alone, with the versions of its distribution. SBOM and audit leave them out.

A lock has one entry for each package, 'NAME==VERSION ; MARKER', with the SHA-256 of each file of
that version. The second line of a lock has a hash of what it was made from.
"""

import ast
import hashlib
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / 'requirements/lock'
ROS_FOLDER: Final = ROOT / 'requirements/lock_ros'
#: Lock of scripts/ros_matrix to the files that it is made from, in requirements/.
ROS_LOCKS: Final = {
    'jazzy': ('colcon', 'jazzy'),
    'jazzy_optional': ('optional',),
    'kilted': ('colcon', 'kilted'),
    'kilted_optional': ('optional',),
}
#: Pythons that the wheels and the numpy of a release are for.
ROS_PYTHONS: Final = {'jazzy': "python_version < '3.13'", 'kilted': "python_version < '3.14'"}
PYTHON: Final = '3.11'  # the oldest; markers cover the newer ones
#: Installed without its requirements: only its robot files are used.
ROBOT_FILES: Final = ('gym-aloha==0.1.5',)
MADE_FROM: Final = '# made from '


@dataclass(frozen=True)
class Entry:
    """
    One package of a lock.

    :param requirement: pinned by ==, with or without a marker
    :param hashes: SHA-256 of its files, hexadecimal
    """

    requirement: Requirement
    hashes: tuple[str, ...]

    @property
    def name(self) -> str:
        """Return the canonical name."""
        return canonicalize_name(self.requirement.name)

    @property
    def version(self) -> str:
        """Return the version."""
        (pin,) = self.requirement.specifier
        return pin.version


def inputs() -> dict[str, tuple[str, ...]]:
    """
    Return the requirements of each lock: 'base', each extra, 'build' and 'robot_files'.

    setup.py is parsed, not run.
    """
    found: dict[str, tuple[str, ...]] = {}
    for node in ast.walk(ast.parse((ROOT / 'setup.py').read_text(encoding='utf-8'))):
        if isinstance(node, ast.keyword) and node.arg == 'install_requires':
            found['base'] = tuple(ast.literal_eval(node.value))
        if isinstance(node, ast.Assign) and getattr(node.targets[0], 'id', '') == 'EXTRAS':
            extras = ast.literal_eval(node.value)
            found |= {name: tuple(requirements) for name, requirements in extras.items()}
    project = tomllib.loads((ROOT / 'pyproject.toml').read_text(encoding='utf-8'))
    found['build'] = (*project['build-system']['requires'], 'wheel')
    found['robot_files'] = ROBOT_FILES
    return found


def ros_inputs(name: str) -> tuple[str, ...]:
    """Return the requirements of a lock in requirements/lock_ros/."""
    texts = ((ROOT / f'requirements/{one}.txt').read_text('utf-8') for one in ROS_LOCKS[name])
    lines = (line.partition('#')[0].strip() for text in texts for line in text.splitlines())
    return tuple(line for line in lines if line and not line.startswith('-'))


def ros_header(name: str) -> str:
    """Return the first two lines of a lock in requirements/lock_ros/."""
    files = ' and '.join(f'requirements/{one}.txt' for one in ROS_LOCKS[name])
    text = '\n'.join([PYTHON, *sorted(ros_inputs(name))])
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f'# Versions and hashes for {files}, by scripts/lock\n{MADE_FROM}{digest}\n'


def constraints() -> tuple[str, ...]:
    """Return the lines of constraints.txt without comments."""
    lines = (ROOT / 'constraints.txt').read_text(encoding='utf-8').splitlines()
    return tuple(filter(None, (line.partition('#')[0].strip() for line in lines)))


def path_of(name: str) -> Path:
    """Return the file of a lock."""
    return FOLDER / f'{name}.txt'


def made_from(requirements: Sequence[str]) -> str:
    """Return a hash of what a lock is made from: its requirements and the constraints."""
    text = '\n'.join([PYTHON, *sorted(requirements), *sorted(constraints())])
    return hashlib.sha256(text.encode()).hexdigest()


def header(name: str, requirements: Sequence[str]) -> str:
    """Return the first two lines of a lock."""
    source = {'base': 'install_requires of setup.py', 'build': 'build-system of pyproject.toml',
              'robot_files': 'scripts/supply_chain/locks.py'}  # fmt: skip
    what = source.get(name, f'the extra {name!r} of setup.py')
    return (
        f'# Versions and hashes for {what} and constraints.txt, by scripts/lock\n'
        f'{MADE_FROM}{made_from(requirements)}\n'
    )


def read(name: str) -> list[Entry]:
    """
    Return the entries of a lock.

    :raises ValueError: if a line is neither an entry, a hash nor a comment
    """
    return parse(path_of(name).read_text(encoding='utf-8'))


def parse(text: str) -> list[Entry]:
    """
    Return the entries of the text of a lock.

    :raises ValueError: if a line is neither an entry, a hash nor a comment
    """
    joined = re.sub(r'\\\n', ' ', text)
    entries = []
    for line in filter(None, (line.strip() for line in joined.splitlines())):
        if line.startswith('#'):
            continue
        requirement, *hashes = re.split(r'\s+--hash=', line)
        kinds = {one.partition(':')[0] for one in hashes}
        if kinds - {'sha256'}:
            raise ValueError(f'hash of {requirement} is of kind {kinds}, must be sha256')
        digests = tuple(one.partition(':')[2] for one in hashes)
        entries.append(Entry(Requirement(requirement), digests))
    return entries


def versions(names: Sequence[str] = ()) -> Mapping[tuple[str, str], tuple[str, ...]]:
    """
    Return each locked package and version with the locks that have it.

    :param names: of locks; empty: all
    """
    found: dict[tuple[str, str], list[str]] = {}
    for name in names or tuple(inputs()):
        for entry in read(name):
            found.setdefault((entry.name, entry.version), []).append(name)
    return {key: tuple(dict.fromkeys(found[key])) for key in sorted(found)}


def hashes() -> Mapping[tuple[str, str], tuple[str, ...]]:
    """Return the SHA-256 of the files of each locked package and version."""
    found: dict[tuple[str, str], set[str]] = {}
    for name in inputs():
        for entry in read(name):
            found.setdefault((entry.name, entry.version), set()).update(entry.hashes)
    return {key: tuple(sorted(found[key])) for key in sorted(found)}
