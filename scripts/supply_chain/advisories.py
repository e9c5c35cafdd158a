# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Advisories of a folder in the OSV format, and the versions that they affect.

Only entries of the ecosystem PyPI count. A version is affected if it is listed, or within a range
of type ECOSYSTEM. A range of another type is not evaluated, and a version that is not found
otherwise is then unknown. A range of type GIT names commits alone, and is left out where the entry
has a list of versions or an ECOSYSTEM range.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import yaml
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

SUFFIXES: Final = ('.json', '.yaml', '.yml')
REMEDY: Final = 'copy the database again, or correct the field'
EVENTS: Final = ('introduced', 'fixed', 'last_affected')
Pin = tuple[str, str]


class AdvisoryError(Exception):
    """A file of the database cannot be used; the text names file, field and remedy."""


@dataclass(frozen=True)
class Range:
    """
    A range of versions.

    :param kind: ECOSYSTEM, GIT, SEMVER, or one that is not known
    :param events: kind and version of each
    """

    kind: str
    events: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Affected:
    """
    An affected package of PyPI.

    :param name: canonical
    :param versions: that are listed
    """

    name: str
    versions: tuple[str, ...]
    ranges: tuple[Range, ...]

    def fixes(self) -> tuple[str, ...]:
        """Return the versions that end the ranges."""
        return tuple(sorted({
            text for one in self.ranges if one.kind == 'ECOSYSTEM'
            for kind, text in one.events if kind == 'fixed'
        }))  # fmt: skip

    def has(self, version: str) -> bool:
        """Return whether a version is listed, or within a range that is evaluated."""
        one = Version(version)
        return any(one == _version(text) for text in self.versions) or any(
            _within(one, limits) for limits in self.ranges if not _fault(limits)
        )

    def unevaluated(self) -> str:
        """Return why a version that is not found may be affected nevertheless, or ''."""
        faults = [_fault(one) for one in self.ranges if one.kind != 'GIT']
        if not self.versions and not faults:
            return 'it has no list of versions and no range of type ECOSYSTEM'
        return next(filter(None, faults), '')


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
class Unevaluated:
    """A locked version that an advisory may affect, and why that is not known."""

    package: str
    version: str
    identifier: str
    reason: str


@dataclass(frozen=True)
class Advisory:
    """
    An advisory.

    :param affected: packages of PyPI; empty if it is of another ecosystem
    """

    identifier: str
    modified: datetime
    affected: tuple[Affected, ...]
    is_withdrawn: bool = False


@dataclass(frozen=True)
class Database:
    """Advisories of packages of PyPI."""

    advisories: tuple[Advisory, ...]

    @property
    def newest(self) -> datetime | None:
        """Return the latest time of a change; None without an advisory."""
        return max((one.modified for one in self.advisories), default=None)

    def compare(self, pins: Iterable[Pin]) -> tuple[list[Finding], list[Unevaluated]]:
        """Return the vulnerabilities of versions, and the versions that are not known."""
        by_name: dict[str, list[str]] = {}
        for name, version in pins:
            by_name.setdefault(name, []).append(version)
        found, unknown = set[Finding](), set[Unevaluated]()
        for advisory in self.advisories:
            for affected in () if advisory.is_withdrawn else advisory.affected:
                for version in by_name.get(affected.name, ()):
                    of = affected.name, version, advisory.identifier
                    if affected.has(version):
                        found.add(Finding(*of, affected.fixes()))
                    elif reason := affected.unevaluated():
                        unknown.add(Unevaluated(*of, reason))
        return sorted(found, key=_order), sorted(unknown, key=_order)


def _order(one: Finding | Unevaluated) -> tuple[str, str, str]:
    return one.package, one.version, one.identifier


def _fault(limits: Range) -> str:
    """Return why a range cannot be evaluated, or ''."""
    if limits.kind != 'ECOSYSTEM':
        return f'its range has the type {limits.kind!r}, only ECOSYSTEM is evaluated'
    for kind, text in limits.events:
        if kind not in EVENTS:
            return f'its range has the event {kind!r}, only {", ".join(EVENTS)} are evaluated'
        if text != '0' and _version(text) is None:
            return f'its range has the event {kind}: {text!r}, which is no version of Python'
    if 'introduced' not in dict(limits.events):
        return 'its range has no event introduced'
    return ''


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


def _within(one: Version, limits: Range) -> bool:
    """Return whether a version is within the events of a range: the last one before it counts."""
    events = [(kind, None if text == '0' else _version(text)) for kind, text in limits.events]
    inside = False
    for kind, limit in sorted(events, key=lambda e: (e[1] is not None, e[1] or Version('0'))):
        if kind == 'introduced' and (limit is None or limit <= one):
            inside = True
        if kind == 'fixed' and limit is not None and limit <= one:
            inside = False
        if kind == 'last_affected' and limit is not None and limit < one:
            inside = False
    return inside


def read_database(folder: Path) -> Database:
    """
    Return the advisories of PyPI: .json and .yaml files in the OSV format, at any depth.

    A file without the field 'affected' is no advisory, and left out.

    :raises AdvisoryError: if one cannot be read, or a field is missing or has another type
    """
    found = []
    for path in sorted(folder.rglob('*')):
        if path.suffix not in SUFFIXES or '.git' in path.relative_to(folder).parts:
            continue
        try:
            text = path.read_text(encoding='utf-8')
            content = json.loads(text) if path.suffix == '.json' else _yaml(text)
        except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
            line = ' '.join(str(error).split())
            raise AdvisoryError(f'{path} cannot be read ({line}): copy it again') from error
        if isinstance(content, Mapping) and 'affected' in content:
            found.append(_advisory(content, path))
    return Database(tuple(one for one in found if one.affected))


def _yaml(text: str) -> Any:
    return yaml.load(text, Loader=getattr(yaml, 'CSafeLoader', yaml.SafeLoader))


def _advisory(content: Mapping[str, Any], path: Path) -> Advisory:
    affected = tuple(_affected(content, path))
    if not affected:  # of another ecosystem
        return Advisory('', datetime.min.replace(tzinfo=UTC), ())
    return Advisory(
        _field(content, 'id', str, 'a text', path), _time(content, 'modified', path), affected,
        content.get('withdrawn') is not None and bool(_time(content, 'withdrawn', path)),
    )  # fmt: skip


def _affected(content: Mapping[str, Any], path: Path) -> Iterator[Affected]:
    """Yield the affected packages of PyPI."""
    for row, one in enumerate(_list(content, 'affected', '', path)):
        place = f'affected[{row}].'
        package = _checked(one, Mapping, place[:-1], 'an object', path).get('package')
        if package is None:  # commits of a repository alone
            continue
        _checked(package, Mapping, f'{place}package', 'an object', path)
        ecosystem = _field(package, 'ecosystem', str, 'a text', path, f'{place}package.')
        if ecosystem.partition(':')[0] != 'PyPI':
            continue
        name = _field(package, 'name', str, 'a text', path, f'{place}package.')
        versions = _list(one, 'versions', place, path)
        for number, version in enumerate(versions):
            _checked(version, str, f'{place}versions[{number}]', 'a text', path)
        ranges = _list(one, 'ranges', place, path)
        made = [_range(limits, f'{place}ranges[{k}]', path) for k, limits in enumerate(ranges)]
        yield Affected(canonicalize_name(name), tuple(versions), tuple(made))


def _range(limits: Any, place: str, path: Path) -> Range:
    _checked(limits, Mapping, place, 'an object', path)
    kind = _field(limits, 'type', str, 'ECOSYSTEM, GIT or SEMVER', path, f'{place}.')
    events = []
    for row, event in enumerate(_list(limits, 'events', f'{place}.', path)):
        _checked(event, Mapping, f'{place}.events[{row}]', 'an object', path)
        for name, text in event.items():
            _checked(text, str, f'{place}.events[{row}].{name}', 'a text', path)
            events.append((str(name), text))
    return Range(kind, tuple(events))


def _list(content: Mapping[str, Any], name: str, place: str, path: Path) -> list[Any]:
    """Return a list; a field that is missing or null has none."""
    value = content.get(name)
    return [] if value is None else _checked(value, list, f'{place}{name}', 'a list', path)


def _field(
    content: Mapping[str, Any], name: str, kind: type, allowed: str, path: Path, place: str = ''
) -> Any:
    if content.get(name) is None:
        raise AdvisoryError(f'{path}: {place}{name} is missing, must be {allowed}: {REMEDY}')
    return _checked(content[name], kind, f'{place}{name}', allowed, path)


def _checked(value: Any, kind: type, place: str, allowed: str, path: Path) -> Any:
    if not isinstance(value, kind):
        raise AdvisoryError(f'{path}: {place} is {value!r}, must be {allowed}: {REMEDY}')
    return value


def _time(content: Mapping[str, Any], name: str, path: Path) -> datetime:
    """Return a time of an advisory."""
    value = content.get(name)
    try:
        time = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError as error:
        what = 'is missing' if value is None else f'is {value!r}'
        raise AdvisoryError(
            f'{path}: {name} {what}, must be a time such as 2026-11-30T00:00:00Z: {REMEDY}'
        ) from error
    return time if time.tzinfo else time.replace(tzinfo=UTC)
