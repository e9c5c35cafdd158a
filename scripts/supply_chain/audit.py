# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Compare the locked versions with known vulnerabilities.

The advisories are those of a folder in the OSV format, or of the package index, by pip-audit.
Without a database, or with one older than 30 days, the ages of all locked versions are listed: a
version without a known vulnerability is then not known to be sound. Exit code 0: no vulnerability
is known; 1: one is known; 3: there is no current database.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import yaml
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from scripts.supply_chain import locks

STALE: Final = 30  # days
SOUND, VULNERABLE, NO_DATABASE = 0, 1, 3
Pin = tuple[str, str]


@dataclass(frozen=True)
class Finding:
    """
    A known vulnerability of a locked version.

    :param identifier: of the advisory
    :param fixed: versions without it; empty if none is known
    """

    package: str
    version: str
    identifier: str
    fixed: tuple[str, ...]


@dataclass(frozen=True)
class Database:
    """
    Advisories of a folder.

    :param advisories: in the OSV format
    :param newest: the latest time of a change; None without an advisory
    """

    advisories: tuple[Mapping[str, Any], ...]
    newest: datetime | None

    def findings(self, pins: Iterable[Pin]) -> list[Finding]:
        """Return the vulnerabilities of versions."""
        by_name: dict[str, list[str]] = {}
        for name, version in pins:
            by_name.setdefault(name, []).append(version)
        found = []
        for advisory in self.advisories:
            for affected in advisory.get('affected') or ():
                package = affected.get('package') or {}
                if package.get('ecosystem') != 'PyPI':
                    continue
                name = canonicalize_name(str(package.get('name', '')))
                found += [
                    Finding(name, version, str(advisory.get('id')), tuple(fixes(affected)))
                    for version in by_name.get(name, ())
                    if is_affected(version, affected)
                ]
        return sorted(set(found), key=lambda one: (one.package, one.version, one.identifier))


def is_affected(version: str, affected: Mapping[str, Any]) -> bool:
    """Return whether a version is listed, or within a range of versions, of an advisory."""
    if version in map(str, affected.get('versions') or ()):
        return True
    ranges = affected.get('ranges') or ()
    return any(one.get('type') == 'ECOSYSTEM' and _within(version, one) for one in ranges)


def _within(version: str, limits: Mapping[str, Any]) -> bool:
    """Return whether a version is within the events of a range: the last one before it counts."""
    one, inside = Version(version), False
    for kind, limit in _events(limits):
        if kind == 'introduced' and (limit is None or limit <= one):
            inside = True
        if kind == 'fixed' and limit is not None and limit <= one:
            inside = False
        if kind == 'last_affected' and limit is not None and limit < one:
            inside = False
    return inside


def _events(limits: Mapping[str, Any]) -> Iterator[tuple[str, Version | None]]:
    """Yield kind and version of the events of a range in ascending order; None for the first."""
    events: list[tuple[str, Version | None]] = []
    for event in limits.get('events') or ():
        for kind, text in event.items():
            try:
                events.append((kind, None if str(text) == '0' else Version(str(text))))
            except InvalidVersion:  # a range that cannot be read is taken as open
                events.append(('introduced', None))
    yield from sorted(events, key=lambda one: (one[1] is not None, one[1] or Version('0')))


def fixes(affected: Mapping[str, Any]) -> list[str]:
    """Return the versions that end the ranges of an advisory."""
    return sorted({
        str(event['fixed']) for one in affected.get('ranges') or () if one['type'] == 'ECOSYSTEM'
        for event in one.get('events') or () if 'fixed' in event
    })  # fmt: skip


def read_database(folder: Path) -> Database:
    """
    Return the advisories of a folder: .json and .yaml files in the OSV format, at any depth.

    :raises SystemExit: if it has none, or one cannot be read
    """
    found: list[Mapping[str, Any]] = []
    for path in sorted(folder.rglob('*')):
        if path.suffix not in ('.json', '.yaml', '.yml') or '.git' in path.parts:
            continue
        try:
            text = path.read_text(encoding='utf-8')
            content = json.loads(text) if path.suffix == '.json' else _yaml(text)
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise SystemExit(f'audit: {path} cannot be read ({error}): copy it again') from error
        if isinstance(content, Mapping) and 'affected' in content:
            found.append(content)
    if not found:
        raise SystemExit(
            f'audit: {folder} has no advisory in the OSV format: name a clone of '
            'pypa/advisory-database, or the unpacked PyPI advisories of OSV'
        )
    times = [_time(one['modified']) for one in found if 'modified' in one]
    valid = tuple(one for one in found if 'withdrawn' not in one)
    return Database(valid, max(times, default=None))


def _yaml(text: str) -> Any:
    return yaml.load(text, Loader=getattr(yaml, 'CSafeLoader', yaml.SafeLoader))


def _time(value: Any) -> datetime:
    time = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def ask_index(pins: Sequence[Pin]) -> tuple[list[Finding], list[str]]:
    """
    Return the vulnerabilities that the package index knows, and packages it has no answer for.

    :raises CalledProcessError: if pip-audit fails
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
                raise subprocess.CalledProcessError(done.returncode, command, done.stderr)
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

    :raises CalledProcessError: if uv fails
    """
    found = {}
    for group in _single(pins):
        with tempfile.TemporaryDirectory() as temporary:
            source, out = Path(temporary) / 'pins.in', Path(temporary) / 'pylock.toml'
            source.write_text('\n'.join(f'{n}=={v}' for n, v in group), encoding='utf-8')
            subprocess.run(
                ['uv', 'pip', 'compile', '--quiet', '--universal', '--no-deps', '--python-version',
                 '3.12', '--format', 'pylock.toml', '--output-file', str(out), str(source)],
                check=True, stdout=subprocess.DEVNULL,
            )  # fmt: skip
            content = tomllib.loads(out.read_text(encoding='utf-8'))
        for one in content.get('packages', ()):
            files = [*one.get('wheels', ()), *([one['sdist']] if 'sdist' in one else ())]
            times = [file['upload-time'] for file in files if 'upload-time' in file]
            if times:
                found[canonicalize_name(one['name']), one['version']] = max(times)
    return found


def show_ages(pins: Sequence[Pin], now: datetime) -> None:
    """Print all versions with the day of their upload, the oldest first."""
    times = upload_times(pins)
    print(f'Ages of {len(pins)} locked versions, oldest first:')
    for (name, version), time in sorted(times.items(), key=lambda one: one[1]):
        print(f'  {time:%Y-%m-%d}  {(now - time).days:5d} days  {name} {version}')
    for name, version in sorted(set(pins) - times.keys()):
        print(f'  unknown                  {name} {version}')


def show(findings: Sequence[Finding]) -> None:
    """Print vulnerabilities."""
    for one in findings:
        remedy = f'fixed in {", ".join(one.fixed)}: raise its range in setup.py, or run ' \
            '"scripts/lock --upgrade"' if one.fixed else 'no fixed version is known'  # fmt: skip
        print(f'{one.package} {one.version}: {one.identifier}; {remedy}')


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser('scripts/audit', description=__doc__)
    parser.add_argument(
        '--database', type=Path, metavar='FOLDER',
        help='Advisories in the OSV format, such as a clone of pypa/advisory-database',
    )  # fmt: skip
    args = parser.parse_args(argv)
    pins, now = list(locks.versions()), datetime.now(UTC)
    if args.database:
        database = read_database(args.database)
        findings = database.findings(pins)
        age = (now - database.newest).days if database.newest else None
        missing = '' if age is not None and age <= STALE else (
            f'{args.database} ends {age} days ago, must be at most {STALE}: update it'
        )  # fmt: skip
        print(f'{len(database.advisories)} advisories, newest of {database.newest:%Y-%m-%d}'
              if database.newest else f'{len(database.advisories)} advisories')  # fmt: skip
    else:
        findings, unknown = ask_index(pins)
        missing = '' if not unknown else (
            f'the package index has no advisories for {len(unknown)} of {len(pins)} locked '
            'versions: name a database with --database FOLDER'
        )  # fmt: skip
    show(findings)
    print(f'{len(findings)} known vulnerabilities of {len(pins)} locked versions')
    if missing:
        print(f'No current database: {missing}.')
        show_ages(pins, now)
    if findings:
        return VULNERABLE
    return NO_DATABASE if missing else SOUND


if __name__ == '__main__':
    sys.exit(main())
