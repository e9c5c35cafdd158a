# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The audit: a version is sound only if a current database has judged it; else it is unknown."""

import json
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.supply_chain import advisories, audit, locks

pytestmark = pytest.mark.fast
TODAY = f'{datetime.now(UTC):%Y-%m-%d}T00:00:00Z'
FIXED = [{'introduced': '0'}, {'fixed': '1'}]  # sound for all locked versions of PyYAML


def advisory(
    events: list[dict[str, str]], versions: tuple[str, ...] = (), kind: str = 'ECOSYSTEM'
) -> dict[str, Any]:
    ranges = [{'type': kind, 'events': list(map(dict, events))}] if events else []
    return {
        'id': 'PYSEC-1', 'modified': TODAY,
        'affected': [{'package': {'ecosystem': 'PyPI', 'name': 'Py_Yaml'}, 'ranges': ranges,
                      'versions': list(versions)}],
    }  # fmt: skip


def changed(place: str, value: Any) -> dict[str, Any]:
    """Return an advisory with another value of a field; None: without the field."""
    content = advisory(FIXED, ('0.1',))
    *before, last = place.split('.')
    one: Any = content
    for key in before:
        one = one[int(key) if key.isdigit() else key]
    if value is None:
        del one[last]
    else:
        one[int(last) if last.isdigit() else last] = value
    return content


def database(folder: Path, *contents: Mapping[str, Any]) -> advisories.Database:
    for row, content in enumerate(contents):
        (folder / f'{row}.json').write_text(json.dumps(content))
    return advisories.read_database(folder)


@pytest.fixture
def shown(monkeypatch) -> list[int]:
    """Numbers of versions whose ages are listed; the index is not asked."""
    found: list[int] = []
    monkeypatch.setattr(audit, 'show_ages', lambda pins, now: found.append(len(pins)))
    return found


def test_audit_finds_versions_within_a_range(tmp_path) -> None:
    events = [{'introduced': '5.1'}, {'fixed': '5.4'}, {'introduced': '6.0'},
              {'last_affected': '6.0.1'}]  # fmt: skip
    versions = ('5.0', '5.1', '5.3.9', '5.4', '5.9', '6.0', '6.0.1', '6.0.2')
    found, unknown = database(tmp_path, advisory(events)).compare(
        [('py-yaml', version) for version in versions]
    )
    assert [one.version for one in found] == ['5.1', '5.3.9', '6.0', '6.0.1']
    assert found[0].fixed == ('5.4',) and not unknown


def test_audit_finds_listed_versions_of_other_spelling(tmp_path) -> None:
    pins = [('py-yaml', '1.2'), ('py-yaml', '1.1'), ('other', '1.0')]
    found, _ = database(tmp_path, advisory([], ('1.0', '1.2.0'))).compare(pins)
    assert [(one.package, one.version) for one in found] == [('py-yaml', '1.2')]


def test_audit_reads_a_folder_and_leaves_out_withdrawn_advisories(tmp_path) -> None:
    (tmp_path / 'vulns').mkdir()
    kept, gone = advisory([{'introduced': '0'}]), advisory([{'introduced': '0'}])
    gone |= {'id': 'PYSEC-2', 'withdrawn': '2026-01-01T00:00:00Z'}
    (tmp_path / 'vulns/a.yaml').write_text(yaml.safe_dump(kept | {'withdrawn': None}))
    (tmp_path / 'vulns/b.json').write_text(json.dumps(gone))
    found, _ = advisories.read_database(tmp_path).compare([('py-yaml', '9.9')])
    assert [one.identifier for one in found] == ['PYSEC-1']


@pytest.mark.parametrize(('kind', 'events', 'versions', 'named'), [
    ('SEMVER', FIXED, (), 'SEMVER'),
    ('SEMVER', FIXED, ('0.1',), 'SEMVER'),
    ('CALENDAR', FIXED, (), 'CALENDAR'),
    ('GIT', [{'introduced': 'ab12'}], (), 'no list of versions'),
    ('ECOSYSTEM', [], (), 'no list of versions'),
    ('ECOSYSTEM', [*FIXED, {'limit': '2'}], (), 'limit'),
    ('ECOSYSTEM', [{'introduced': '0'}, {'fixed': 'r12'}, {'fixed': '1'}], (), 'r12'),
    ('ECOSYSTEM', [{'fixed': '1'}], (), 'introduced'),
])  # fmt: skip
def test_range_that_is_not_evaluated_leaves_a_locked_version_unknown(
    tmp_path, shown, capsys, kind: str, events: Any, versions: tuple[str, ...], named: str
) -> None:
    one = advisory(events, versions, kind)
    one['affected'][0]['package']['name'] = 'PyYAML'
    database(tmp_path, one)
    assert audit.main(['--database', str(tmp_path)]) == audit.NOT_EVALUATED
    out = capsys.readouterr().out
    assert named in out and 'pyyaml' in out and 'PYSEC-1' in out and ' 1 not evaluated' in out


def test_range_of_commits_is_known_by_the_list_of_versions(tmp_path) -> None:
    one = advisory([{'introduced': 'ab12'}], ('5.1',), 'GIT')
    found, unknown = database(tmp_path, one).compare([('py-yaml', '5.1'), ('py-yaml', '5.2')])
    assert [two.version for two in found] == ['5.1'] and not unknown


@pytest.mark.parametrize(('modified', 'code'), [
    (TODAY, audit.SOUND), ('2020-01-01', audit.NO_DATABASE),
    ('2999-01-01T00:00:00Z', audit.NO_DATABASE),
])  # fmt: skip
def test_audit_without_a_current_database_is_not_sound(
    tmp_path, shown, capsys, modified: str, code: int
) -> None:
    database(tmp_path, advisory(FIXED) | {'modified': modified})
    assert audit.main(['--database', str(tmp_path)]) == code
    assert len(shown) == (code == audit.NO_DATABASE)
    assert ('No current database' in capsys.readouterr().out) == (code == audit.NO_DATABASE)


@pytest.mark.parametrize('content', [None, changed('affected.0.package.ecosystem', 'npm')])
def test_database_without_an_advisory_of_pypi_is_none(tmp_path, shown, capsys, content) -> None:
    database(tmp_path, *[content] * (content is not None))
    assert audit.main(['--database', str(tmp_path)]) == audit.NO_DATABASE
    assert shown and 'no advisory of PyPI' in capsys.readouterr().out


def test_advisory_of_another_ecosystem_makes_no_database_current(tmp_path, shown) -> None:
    old = advisory(FIXED) | {'modified': '2020-01-01'}
    database(tmp_path, changed('affected.0.package.ecosystem', 'npm'), old)
    assert audit.main(['--database', str(tmp_path)]) == audit.NO_DATABASE


@pytest.mark.parametrize(('place', 'value'), [
    ('modified', 'soon'), ('modified', None), ('withdrawn', 'never'), ('id', None),
    ('affected', 'all'), ('affected.0', 'all'), ('affected.0.package', 7),
    ('affected.0.package.ecosystem', None), ('affected.0.package.name', None),
    ('affected.0.versions', '1.0'), ('affected.0.versions.0', 2.1), ('affected.0.ranges', {}),
    ('affected.0.ranges.0', 'all'), ('affected.0.ranges.0.type', None),
    ('affected.0.ranges.0.events', 'all'), ('affected.0.ranges.0.events.0', 'all'),
    ('affected.0.ranges.0.events.0.introduced', 1.5),
])  # fmt: skip
def test_malformed_advisory_is_refused_with_file_field_and_remedy(
    tmp_path, capsys, place: str, value: Any
) -> None:
    (tmp_path / 'bad.json').write_text(json.dumps(changed(place, value)))
    with pytest.raises(SystemExit) as ended:
        audit.main(['--database', str(tmp_path)])
    err = capsys.readouterr().err
    assert ended.value.code == 2 and 'bad.json' in err and 'copy the database again' in err
    assert (
        ''.join(f'[{one}]' if one.isdigit() else f'.{one}' for one in place.split('.'))[1:] in err
    )


def test_file_that_is_not_json_is_refused_by_name(tmp_path, capsys) -> None:
    (tmp_path / 'half.json').write_text('{"affected": [')
    with pytest.raises(SystemExit, match='2'):
        audit.main(['--database', str(tmp_path)])
    assert 'half.json cannot be read' in capsys.readouterr().err


def test_database_that_is_no_folder_is_an_error_of_usage(tmp_path, capsys) -> None:
    (tmp_path / 'all.zip').write_bytes(b'PK')
    for path in (tmp_path / 'missing', tmp_path / 'all.zip'):
        with pytest.raises(SystemExit, match='2'):
            audit.main(['--database', str(path)])
        assert str(path) in capsys.readouterr().err


def fails(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.CompletedProcess(command, 1, '', 'Traceback\nno route to the index\n')


def test_audit_without_a_network_knows_nothing(monkeypatch, capsys) -> None:
    monkeypatch.setattr(audit.subprocess, 'run', fails)
    assert audit.main([]) == audit.NO_DATABASE
    out = capsys.readouterr().out
    assert 'pip-audit, exit code 1: no route to the index' in out and '--database FOLDER' in out
    assert f'Ages of {len(locks.versions())} locked versions are unknown' in out


def test_audit_without_an_answer_of_the_index_is_not_sound(monkeypatch, shown, capsys) -> None:
    monkeypatch.setattr(audit, 'ask_index', lambda pins: ([], [name for name, _ in pins]))
    assert audit.main([]) == audit.NO_DATABASE
    assert '--database FOLDER' in capsys.readouterr().out


def test_audit_with_a_finding_fails_and_names_the_remedy(monkeypatch, capsys) -> None:
    fault = advisories.Finding('rich', '15.0.0', 'PYSEC-3', ('15.0.1',))
    monkeypatch.setattr(audit, 'ask_index', lambda pins: ([fault], []))
    assert audit.main([]) == audit.VULNERABLE
    out = capsys.readouterr().out
    assert 'rich 15.0.0: PYSEC-3' in out and '15.0.1' in out and 'scripts/lock --upgrade' in out


def test_vulnerability_counts_whatever_the_age_of_the_database(tmp_path, shown) -> None:
    later = datetime.now(UTC) + timedelta(days=400)
    one = advisory([{'introduced': '0'}]) | {'modified': later.isoformat()}
    one['affected'][0]['package']['name'] = 'PyYAML'
    database(tmp_path, one)
    assert audit.main(['--database', str(tmp_path)]) == audit.VULNERABLE


def test_nightly_run_goes_on_without_a_network(tmp_path) -> None:
    text = (locks.ROOT / 'scripts/nightly').read_text(encoding='utf-8')
    function = text[text.index('of_index()') : text.index('of_index scripts/audit')]
    for code, failed in ((0, 0), (1, 1), (2, 1), (3, 0), (4, 1)):
        line = f'failed=0\n{function}\nof_index sh -c "exit {code}"\nexit $failed'
        assert subprocess.run(['bash', '-euc', line], check=False).returncode == failed, code
