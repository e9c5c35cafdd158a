# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Lock files, SBOM, licences and the audit of the dependencies."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts.supply_chain import audit, locks

pytestmark = pytest.mark.fast
FOLDER = locks.ROOT / 'requirements'
#: Packages with CUDA libraries: scripts/setup leaves them out where it takes the CPU build.
OF_CUDA = re.compile(r'torch|triton|cuda-|nvidia-')


def licences() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((FOLDER / 'licences.json').read_text())
    return found


def advisory(events: list[Mapping[str, str]], versions: tuple[str, ...] = ()) -> dict[str, Any]:
    ranges = [{'type': 'ECOSYSTEM', 'events': events}] if events else []
    return {
        'id': 'PYSEC-1', 'modified': '2026-11-30T00:00:00Z',
        'affected': [{'package': {'ecosystem': 'PyPI', 'name': 'Py_Yaml'}, 'ranges': ranges,
                      'versions': list(versions)}],
    }  # fmt: skip


def test_locks_are_made_from_the_present_requirements() -> None:
    wanted, stale = locks.inputs(), []
    for name, requirements in wanted.items():
        lines = locks.path_of(name).read_text(encoding='utf-8').splitlines()
        if '\n'.join(lines[:2]) + '\n' != locks.header(name, requirements):
            stale.append(name)
    assert not stale, f'run scripts/lock: {stale}'
    assert {path.stem for path in locks.FOLDER.glob('*.txt')} == set(wanted)


def test_locks_of_the_ros_releases_have_their_pins_and_hashes() -> None:
    found = {}
    for name in locks.ROS_LOCKS:
        text = (locks.ROS_FOLDER / f'{name}.txt').read_text(encoding='utf-8')
        assert text.startswith(locks.ros_header(name)), f'{name} is stale: run scripts/lock'
        assert not re.search(r'https?://|file:|index-url|find-links', text), name
        entries = found[name] = locks.parse(text)
        assert all(entry.hashes for entry in entries), name
        pins = {str(one.requirement).partition(';')[0].strip().lower() for one in entries}
        wanted = {one.lower().replace('_', '-') for one in locks.ros_inputs(name)}
        assert wanted <= pins, (name, wanted - pins)
    for release in ('jazzy', 'kilted'):
        versions = {one.name: one.version for one in found[release]}
        other = {one.name: one.version for one in found[f'{release}_optional']}
        shared = versions.keys() & other.keys()
        assert {key: versions[key] for key in shared} == {key: other[key] for key in shared}
    assert {path.stem for path in locks.ROS_FOLDER.glob('*.txt')} == set(locks.ROS_LOCKS)
    installed = (locks.ROOT / 'scripts/ros_matrix').read_text(encoding='utf-8')
    lines = re.findall('^ *pip_install (.*)', installed, re.MULTILINE)
    assert lines and all('--no-deps --require-hashes' in line for line in lines), lines


def test_locks_have_each_requirement_within_its_range() -> None:
    faults = []
    for name, requirements in locks.inputs().items():
        entries = locks.read(name)
        for requirement in map(Requirement, (*requirements, *locks.constraints())):
            wanted = canonicalize_name(requirement.name)
            found = [entry.version for entry in entries if entry.name == wanted]
            if not found and str(requirement) in locks.constraints():
                continue
            if not found or not all(map(requirement.specifier.contains, found)):
                faults.append(f'{name}: {requirement}, locked {found}')
    assert not faults, faults


def test_each_lock_entry_has_a_hash_and_one_version() -> None:
    faults = [
        f'{name}: {entry.requirement}' for name in locks.inputs() for entry in locks.read(name)
        if not entry.hashes or not all(re.fullmatch('[0-9a-f]{64}', one) for one in entry.hashes)
        or len(entry.requirement.specifier) != 1 or entry.requirement.url
    ]  # fmt: skip
    assert not faults, faults


def test_locks_name_neither_an_index_nor_a_path() -> None:
    for path in [*locks.FOLDER.iterdir(), FOLDER / 'sbom.cdx.json', FOLDER / 'licences.json']:
        text = path.read_text(encoding='utf-8').replace('http://cyclonedx.org/schema/', '')
        assert not re.search(r'https?://|file:|index-url|find-links|/tmp/|/home/', text), path


def test_locks_can_be_installed_together() -> None:
    known: dict[tuple[str, str], str] = {}
    for name in locks.inputs():
        for entry in locks.read(name):
            key = (entry.name, str(entry.requirement.marker))
            assert known.setdefault(key, entry.version) == entry.version, (name, entry)


def test_cuda_packages_are_where_setup_leaves_them_out() -> None:
    text = (locks.ROOT / 'scripts/setup').read_text(encoding='utf-8')
    assert f'/^({OF_CUDA.pattern})/' in text
    without = set(locks.inputs()) - {'train', 'tensorrt'}
    found = [e.name for name in without for e in locks.read(name) if OF_CUDA.match(e.name)]
    assert not found
    assert {'cuda-bindings', 'cuda-pathfinder'} == {
        e.name for e in locks.read('tensorrt') if OF_CUDA.match(e.name)
    }


def test_licences_and_sbom_have_each_locked_version() -> None:
    locked = locks.versions()
    rows = {(row['name'], row['version']): row for row in licences()}
    assert all(tuple(row['locks']) == locked[key] for key, row in rows.items())
    # Others are not installed on Linux, such as those of Pyodide.
    left_out = {name for name, _ in locked.keys() - rows.keys()}
    assert left_out == {name for name in left_out if 'jsfetch' in name}
    content = json.loads((FOLDER / 'sbom.cdx.json').read_text())
    assert (content['bomFormat'], content['specVersion']) == ('CycloneDX', '1.6')
    assert 'timestamp' not in content['metadata']
    assert {(one['name'], one['version']) for one in content['components']} == set(rows)
    assert all(one['purl'] == f'pkg:pypi/{one["name"]}@{one["version"]}'
               for one in content['components'])  # fmt: skip


def test_licence_page_has_each_package_once() -> None:
    page = (locks.ROOT / 'docs/licences.md').read_text(encoding='utf-8')
    for row in licences():
        line = f'| {row["name"]} | {row["version"]} | {row["licence"]} | {row["kind"]} |'
        assert page.count(line) == 1, line
        assert row['kind'] == 'unknown' or row['source'], row


def test_audit_finds_versions_within_a_range() -> None:
    events = [{'introduced': '5.1'}, {'fixed': '5.4'}, {'introduced': '6.0'},
              {'last_affected': '6.0.1'}]  # fmt: skip
    database = audit.Database((advisory(events),), None)
    versions = ('5.0', '5.1', '5.3.9', '5.4', '5.9', '6.0', '6.0.1', '6.0.2')
    found = database.findings([('py-yaml', version) for version in versions])
    assert [one.version for one in found] == ['5.1', '5.3.9', '6.0', '6.0.1']
    assert found[0].fixed == ('5.4',)


def test_audit_finds_listed_versions_of_other_spelling() -> None:
    database = audit.Database((advisory([], ('1.0', '1.2')),), None)
    found = database.findings([('py-yaml', '1.2'), ('py-yaml', '1.1'), ('other', '1.0')])
    assert [(one.package, one.version) for one in found] == [('py-yaml', '1.2')]


def test_audit_reads_a_folder_and_leaves_out_withdrawn_advisories(tmp_path: Path) -> None:
    (tmp_path / 'vulns').mkdir()
    kept, gone = advisory([{'introduced': '0'}]), advisory([{'introduced': '0'}])
    gone |= {'id': 'PYSEC-2', 'withdrawn': '2026-01-01T00:00:00Z'}
    (tmp_path / 'vulns/a.yaml').write_text(yaml.safe_dump(kept))
    (tmp_path / 'vulns/b.json').write_text(json.dumps(gone))
    database = audit.read_database(tmp_path)
    assert [one['id'] for one in database.advisories] == ['PYSEC-1']
    assert database.newest is not None and database.newest.year == 2026
    assert database.findings([('py-yaml', '9.9')])


@pytest.mark.parametrize(('modified', 'code'), [('2999-01-01T00:00:00Z', 0), ('2020-01-01', 3)])
def test_audit_without_a_current_database_is_not_sound(
    tmp_path: Path, monkeypatch, capsys, modified: str, code: int
) -> None:
    shown = []
    monkeypatch.setattr(audit, 'show_ages', lambda pins, now: shown.append(len(pins)))
    one = advisory([{'introduced': '0'}, {'fixed': '1'}]) | {'modified': modified}
    (tmp_path / 'a.json').write_text(json.dumps(one))
    assert audit.main(['--database', str(tmp_path)]) == code
    assert len(shown) == (code == 3)
    assert ('No current database' in capsys.readouterr().out) == (code == 3)


def test_audit_without_an_answer_of_the_index_is_not_sound(monkeypatch, capsys) -> None:
    monkeypatch.setattr(audit, 'show_ages', lambda pins, now: None)
    monkeypatch.setattr(audit, 'ask_index', lambda pins: ([], [name for name, _ in pins]))
    assert audit.main([]) == audit.NO_DATABASE
    assert '--database FOLDER' in capsys.readouterr().out


def test_audit_with_a_finding_fails_and_names_the_remedy(monkeypatch, capsys) -> None:
    fault = audit.Finding('rich', '15.0.0', 'PYSEC-3', ('15.0.1',))
    monkeypatch.setattr(audit, 'ask_index', lambda pins: ([fault], []))
    assert audit.main([]) == audit.VULNERABLE
    out = capsys.readouterr().out
    assert 'rich 15.0.0: PYSEC-3' in out and '15.0.1' in out and 'scripts/lock --upgrade' in out
