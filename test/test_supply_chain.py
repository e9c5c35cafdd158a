# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Lock files, SBOM and licences of the dependencies."""

import json
import re
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts.supply_chain import locks

pytestmark = pytest.mark.fast
FOLDER = locks.ROOT / 'requirements'
#: Packages with CUDA libraries: scripts/setup leaves them out where it takes the CPU build.
OF_CUDA = re.compile(r'torch|triton|cuda-|nvidia-')


def licences() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((FOLDER / 'licences.json').read_text())
    return found


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


def test_package_outside_of_the_locks_is_installed_by_hash() -> None:
    entries = locks.parse((FOLDER / 'fuzz.txt').read_text(encoding='utf-8'))
    assert [one.name for one in entries] == ['atheris'] and all(one.hashes for one in entries)
    text = (locks.ROOT / 'scripts/fuzz').read_text(encoding='utf-8')
    (line,) = re.findall('pip install (.*)', text.replace('\\\n', ''))
    assert '--no-deps --require-hashes' in line and 'requirements/fuzz.txt' in line


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
    page = (locks.ROOT / 'docs/dependencies.md').read_text(encoding='utf-8')
    assert f'counts {len(locked)} versions, the SBOM {len(rows)} components' in page
    assert all(f'`{name}`' in page for name in left_out)
    content = json.loads((FOLDER / 'sbom.cdx.json').read_text())
    assert (content['bomFormat'], content['specVersion']) == ('CycloneDX', '1.6')
    assert 'timestamp' not in content['metadata']
    assert {(one['name'], one['version']) for one in content['components']} == set(rows)
    hashes = locks.hashes()
    assert all(
        {(two['alg'], two['content']) for two in one['hashes']}
        == {('SHA-256', digest) for digest in hashes[one['name'], one['version']]}
        for one in content['components']
    )
    assert all(one['purl'] == f'pkg:pypi/{one["name"]}@{one["version"]}'
               for one in content['components'])  # fmt: skip


def test_licence_page_has_each_package_once() -> None:
    page = (locks.ROOT / 'docs/licences.md').read_text(encoding='utf-8')
    for row in licences():
        line = f'| {row["name"]} | {row["version"]} | {row["licence"]} | {row["kind"]} |'
        assert page.count(line) == 1, line
        assert row['kind'] == 'unknown' or row['source'], row
