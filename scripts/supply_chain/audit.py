# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Compare the locked versions with known vulnerabilities.

The advisories are those of a folder in the OSV format, or of the package index, by pip-audit. A
version without a known vulnerability is not known to be sound without a database, or with one that
is older than 30 days, from the future, or without an advisory of PyPI: the ages of all locked
versions are listed then. Exit code 0: no vulnerability is known; 1: one is known; 2: the arguments
or a file of the database are invalid; 3: there is no current database; 4: an advisory of a locked
package cannot be evaluated.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from packaging.utils import canonicalize_name

from scripts.supply_chain import locks
from scripts.supply_chain.advisories import (
    AdvisoryError,
    Database,
    Finding,
    Pin,
    Unevaluated,
    read_database,
)

STALE: Final = timedelta(days=30)
FUTURE: Final = timedelta(days=1)  # time zones, and clocks that are not set
SOUND, VULNERABLE, NO_DATABASE, NOT_EVALUATED = 0, 1, 3, 4


class IndexUnavailableError(Exception):
    """The package index gives no answer; the text is that of the program that asked it."""


def ask_index(pins: Sequence[Pin]) -> tuple[list[Finding], list[str]]:
    """
    Return the vulnerabilities that the package index knows, and packages it has no answer for.

    :raises IndexUnavailableError: if pip-audit fails, as without a network
    """
    found, unknown = [], []
    for group in _single(pins):
        with tempfile.TemporaryDirectory() as temporary:
            source, out = Path(temporary) / 'pins.txt', Path(temporary) / 'audit.json'
            source.write_text('\n'.join(f'{n}=={v}' for n, v in group), encoding='utf-8')
            command = [
                'pip-audit', '--disable-pip', '--no-deps', '--progress-spinner', 'off',
                '--requirement', str(source), '--format', 'json', '--output', str(out),
            ]  # fmt: skip
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if not out.exists():
                raise IndexUnavailableError(_last_line('pip-audit', done))
            content = json.loads(out.read_text(encoding='utf-8'))
        for one in content['dependencies']:
            if 'skip_reason' in one:
                unknown.append(one['name'])
            for fault in one.get('vulns', ()):
                found.append(Finding(one['name'], one['version'], fault['id'],
                                     tuple(fault['fix_versions'])))  # fmt: skip
    return found, unknown


def _single(pins: Iterable[Pin]) -> list[list[Pin]]:
    """Return groups of versions with each package once."""
    groups: list[dict[str, str]] = []
    for name, version in pins:
        group = next((one for one in groups if name not in one), None)
        if group is None:
            groups.append(group := {})
        group[name] = version
    return [list(one.items()) for one in groups]


def upload_times(pins: Sequence[Pin]) -> dict[Pin, datetime]:
    """
    Return when the last file of each version was uploaded, from the index, by uv.

    :raises IndexUnavailableError: if uv fails, as without a network
    """
    found = {}
    for group in _single(pins):
        with tempfile.TemporaryDirectory() as temporary:
            source, out = Path(temporary) / 'pins.in', Path(temporary) / 'pylock.toml'
            source.write_text('\n'.join(f'{n}=={v}' for n, v in group), encoding='utf-8')
            done = subprocess.run(
                ['uv', 'pip', 'compile', '--quiet', '--universal', '--no-deps', '--python-version',
                 '3.12', '--format', 'pylock.toml', '--output-file', str(out), str(source)],
                check=False, capture_output=True, text=True,
            )  # fmt: skip
            if done.returncode != 0:
                raise IndexUnavailableError(_last_line('uv', done))
            content = tomllib.loads(out.read_text(encoding='utf-8'))
        for one in content.get('packages', ()):
            files = [*one.get('wheels', ()), *([one['sdist']] if 'sdist' in one else ())]
            times = [file['upload-time'] for file in files if 'upload-time' in file]
            if times:
                found[canonicalize_name(one['name']), one['version']] = max(times)
    return found


def _last_line(program: str, done: subprocess.CompletedProcess[str]) -> str:
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return f'{program}, exit code {done.returncode}: {lines[-1] if lines else "no message"}'


def show_ages(pins: Sequence[Pin], now: datetime) -> None:
    """Print all versions with the day of their upload, the oldest first."""
    try:
        times = upload_times(pins)
    except IndexUnavailableError as error:
        print(f'Ages of {len(pins)} locked versions are unknown, the package index does not '
              f'answer ({error}): run it again with a network.')  # fmt: skip
        return
    print(f'Ages of {len(pins)} locked versions, oldest first:')
    for (name, version), time in sorted(times.items(), key=lambda one: one[1]):
        print(f'  {time:%Y-%m-%d}  {(now - time).days:5d} days  {name} {version}')
    for name, version in sorted(set(pins) - times.keys()):
        print(f'  unknown                  {name} {version}')


def show(findings: Sequence[Finding], unknown: Sequence[Unevaluated]) -> None:
    """Print vulnerabilities, and versions whose advisory is not evaluated."""
    for one in findings:
        remedy = f'fixed in {", ".join(one.fixed)}: raise its range in setup.py, or run ' \
            '"scripts/lock --upgrade"' if one.fixed else 'no fixed version is known'  # fmt: skip
        print(f'{one.package} {one.version}: {one.identifier}; {remedy}')
    for two in unknown:
        print(f'{two.package} {two.version}: {two.identifier} is not evaluated, {two.reason}: '
              'compare it by hand, and take a database whose advisory lists versions')  # fmt: skip


def fault_of(database: Database, folder: Path, now: datetime) -> str:
    """Return why a database does not show that versions are sound, with a remedy, or ''."""
    if database.newest is None:
        return (
            f'{folder} has no advisory of PyPI in the OSV format: name a clone of '
            'pypa/advisory-database, or the unpacked PyPI advisories of OSV'
        )
    if database.newest > now + FUTURE:
        return (
            f'{folder} has an advisory of {database.newest:%Y-%m-%d}, today is {now:%Y-%m-%d}: '
            'set the clock of this machine, or copy the database again'
        )
    if (age := now - database.newest) > STALE:
        return f'{folder} ends {age.days} days ago, must be at most {STALE.days}: update it'
    return ''


def ask(
    pins: Sequence[Pin], folder: Path | None, now: datetime
) -> tuple[list[Finding], list[Unevaluated], str]:
    """
    Return vulnerabilities, versions that are not evaluated, and why the database is not current.

    :param folder: of advisories; None: those of the package index
    :raises AdvisoryError: if a file of the folder cannot be used
    """
    if folder is not None:
        database = read_database(folder)
        newest = f', newest of {database.newest:%Y-%m-%d}' if database.newest else ''
        print(f'{len(database.advisories)} advisories of PyPI{newest}')
        return *database.compare(pins), fault_of(database, folder, now)
    other = 'name a database with --database FOLDER'
    try:
        findings, silent = ask_index(pins)
    except IndexUnavailableError as error:
        return [], [], f'the package index does not answer ({error}): {other}'
    missing = f'the package index has no advisories for {len(silent)} of {len(pins)} locked ' \
        f'versions: {other}' if silent else ''  # fmt: skip
    return findings, [], missing


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser('scripts/audit', description=__doc__)
    parser.add_argument(
        '--database', type=Path, metavar='FOLDER',
        help='Advisories in the OSV format, such as a clone of pypa/advisory-database',
    )  # fmt: skip
    args = parser.parse_args(argv)
    if args.database is not None and not args.database.is_dir():
        parser.error(
            f'--database is {args.database}, must be a folder of advisories in the OSV format: '
            'name a clone of pypa/advisory-database, or unpack the PyPI advisories of OSV'
        )
    pins, now = list(locks.versions()), datetime.now(UTC)
    try:
        findings, unknown, missing = ask(pins, args.database, now)
    except AdvisoryError as error:
        parser.error(str(error))
    show(findings, unknown)
    text = f'{len(findings)} known vulnerabilities of {len(pins)} locked versions'
    print(text + f', {len(unknown)} not evaluated' * bool(unknown))
    if missing:
        print(f'No current database: {missing}.')
        show_ages(pins, now)
    if findings:
        return VULNERABLE
    if unknown:
        return NOT_EVALUATED
    return NO_DATABASE if missing else SOUND


if __name__ == '__main__':
    sys.exit(main())
