# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The licence of each locked package, as its metadata state it.

A package that states none, or states it in words without a known meaning, is 'unknown'.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

from license_expression import get_spdx_licensing
from packaging.utils import canonicalize_name

from scripts.supply_chain import locks

PERMISSIVE, WEAK, COPYLEFT, PROPRIETARY, UNKNOWN = KINDS = (
    'permissive', 'weak copyleft', 'copyleft', 'proprietary', 'unknown'
)  # fmt: skip
PYTHONS: Final = ('3.11.2', '3.11.9', '3.12.9', '3.13.9')  # 3.11.2 is that of Debian 12
#: Classifiers and texts of the field License, and SPDX; a BSD licence without a number is 'BSD'.
TEXTS: Final[Mapping[str, str]] = {
    'Apache Software License': 'Apache-2.0', 'Apache License 2.0': 'Apache-2.0',
    'Apache License, Version 2.0': 'Apache-2.0', 'Apache 2.0': 'Apache-2.0',
    'Apache-2.0': 'Apache-2.0', 'Apache': 'Apache-2.0', 'Apache 2': 'Apache-2.0',
    'Apache License v2.0': 'Apache-2.0', 'Apache 2.0 License': 'Apache-2.0',
    'MIT License': 'MIT', 'MIT': 'MIT', 'BSD License': 'BSD', 'BSD': 'BSD',
    'BSD-3-Clause': 'BSD-3-Clause', 'BSD-2-Clause': 'BSD-2-Clause',
    '3-Clause BSD License': 'BSD-3-Clause',
    'ISC License (ISCL)': 'ISC', 'ISC': 'ISC', 'Boost Software License': 'BSL-1.0',
    'Mozilla Public License 2.0 (MPL 2.0)': 'MPL-2.0', 'MPL-2.0': 'MPL-2.0', 'MPL 2.0': 'MPL-2.0',
    'Python Software Foundation License': 'PSF-2.0', 'PSF': 'PSF-2.0',
    'The Unlicense (Unlicense)': 'Unlicense', 'zlib/libpng License': 'Zlib',
    'Historical Permission Notice and Disclaimer (HPND)': 'HPND',
    'NVIDIA Proprietary Software': 'LicenseRef-NVIDIA-Proprietary',
    'LicenseRef-NVIDIA-Proprietary': 'LicenseRef-NVIDIA-Proprietary',
    'Other/Proprietary License': 'LicenseRef-Proprietary',
    'GNU General Public License v3 or later (GPLv3+)': 'GPL-3.0-or-later',
    'GNU Lesser General Public License v3 (LGPLv3)': 'LGPL-3.0-only',
    'GNU Lesser General Public License v3 or later (LGPLv3+)': 'LGPL-3.0-or-later',
    'LGPL-3.0': 'LGPL-3.0-only', 'LGPL': 'LGPL', 'zlib License': 'Zlib',
}  # fmt: skip
PERMISSIVE_IDS: Final = frozenset((
    '0BSD', 'Apache-2.0', 'BSD', 'BSD-2-Clause', 'BSD-3-Clause', 'BSD-3-Clause-Open-MPI',
    'BSL-1.0', 'BlueOak-1.0.0', 'CC0-1.0', 'CDLA-Permissive-2.0', 'CNRI-Python', 'FTL', 'HPND',
    'IJG', 'ISC', 'MIT', 'MIT-0', 'MIT-CMU', 'NCSA', 'PSF-2.0', 'Python-2.0', 'Unicode-3.0',
    'Unicode-DFS-2016', 'Unlicense', 'Zlib', 'curl', 'libpng-2.0',
))  # fmt: skip
WEAK_IDS: Final = ('MPL-', 'LGPL', 'EPL-', 'CDDL-', 'MPL')
COPYLEFT_IDS: Final = ('GPL-', 'AGPL-', 'SSPL-', 'CC-BY-SA-')


@dataclass(frozen=True)
class Licence:
    """
    The licence of a version of a package.

    :param licence: an SPDX expression where the metadata have one; otherwise 'unknown'
    :param kind: one of ``KINDS``
    :param source: what states it: 'expression', 'classifier', 'field', 'package.xml', or '' if
        unknown
    :param locks: that have the package
    """

    name: str
    version: str
    licence: str
    kind: str
    source: str
    locks: tuple[str, ...]


def of_metadata(metadata: Mapping[str, Any]) -> tuple[str, str]:
    """
    Return the licence that metadata state, and its source; ('unknown', '') without one.

    :param metadata: core metadata as JSON (PEP 566)
    """
    if expression := metadata.get('license_expression'):
        return str(expression), 'expression'
    prefix = 'License :: '
    found = [one.removeprefix(prefix).removeprefix('OSI Approved :: ')
             for one in metadata.get('classifier', ()) if one.startswith(prefix)]  # fmt: skip
    known = [TEXTS[one] for one in found if one in TEXTS]
    field = str(metadata.get('license') or '').strip()
    if known == ['BSD'] and field in TEXTS:  # the field has the number of clauses
        known = []
    if known:  # several classifiers: some packages mean 'and', others 'or'
        return ' AND '.join(known), 'classifier'
    if field in TEXTS:
        return TEXTS[field], 'field'
    if field and '\n' not in field and _kind_or_unknown(field) != UNKNOWN:
        return field, 'field'
    return UNKNOWN, ''


def kind_of(expression: str) -> str:
    """
    Return the kind of an SPDX expression: the strictest of AND, the most permissive of OR.

    :param expression: 'unknown' if there is none
    """
    if expression == UNKNOWN:
        return UNKNOWN
    return _kind_or_unknown(expression)


def _kind_or_unknown(expression: str) -> str:
    try:
        parsed = get_spdx_licensing().parse(expression, strict=False)
    except Exception:  # free text
        return UNKNOWN
    return _kind_of_node(parsed)


def _kind_of_node(node: Any) -> str:
    kinds = [_kind_of_node(one) for one in getattr(node, 'args', ()) or ()]
    operator = str(getattr(node, 'operator', '')).strip()
    if kinds and operator in ('AND', 'OR'):
        order = KINDS.index
        return (max if operator == 'AND' else min)(kinds, key=order)
    return _kind_of_id(str(node))


def _kind_of_id(identifier: str) -> str:
    licence, _, exception = identifier.partition(' WITH ')
    if licence in PERMISSIVE_IDS:
        return PERMISSIVE
    if licence.startswith('GPL-') and exception:
        return WEAK
    if licence.startswith(WEAK_IDS):
        return WEAK
    if licence.startswith(COPYLEFT_IDS):
        return COPYLEFT
    return PROPRIETARY if 'Proprietary' in licence or 'NVIDIA' in licence else UNKNOWN


def metadata_of(pins: Iterable[tuple[str, str]], python: str) -> dict[tuple[str, str], Any]:
    """
    Return core metadata of versions of packages from the index, by pip; nothing is installed.

    :param python: version of Python, such as '3.11.9', whose files are taken
    :raises CalledProcessError: if pip fails
    """
    wanted = sorted(pins)
    with tempfile.TemporaryDirectory() as temporary:
        source, report = Path(temporary) / 'pins.txt', Path(temporary) / 'report.json'
        source.write_text('\n'.join(f'{n}=={v}' for n, v in wanted), encoding='utf-8')
        command = [
            sys.executable, '-P', '-m', 'pip', '--disable-pip-version-check', 'install', '--quiet',
            '--dry-run', '--ignore-installed', '--no-deps', '--python-version', python,
            '--target', temporary, '--report', str(report), '--requirement', str(source),
        ]  # fmt: skip
        subprocess.run(command, check=True)
        content = json.loads(report.read_text(encoding='utf-8'))
    found = {}
    for one in content['install']:
        metadata = one['metadata']
        found[canonicalize_name(metadata['name']), metadata['version']] = metadata
    return found


def licence_in_package_xml(name: str) -> str:
    """
    Return the licences in the installed package.xml of a ROS package; '' without one.

    :param name: of the wheel, such as 'ros-rclpy'
    """
    folder = name.removeprefix('ros-').replace('-', '_')
    path = locks.ROOT / '.venv/share' / folder / 'package.xml'
    if not name.startswith('ros-') or not path.is_file():
        return ''
    texts = [one.text or '' for one in ElementTree.parse(path).iter('license')]
    known = list(dict.fromkeys(TEXTS.get(text.strip(), '') for text in texts))
    return ' AND '.join(known) if known and all(known) else ''


def used(python: str) -> set[tuple[str, str]]:
    """Return the locked versions that Linux on x86_64 installs for a Python."""
    environment = {
        'python_version': python.rpartition('.')[0], 'python_full_version': python,
        'sys_platform': 'linux',
        'platform_machine': 'x86_64', 'platform_system': 'Linux', 'os_name': 'posix',
        'implementation_name': 'cpython', 'platform_python_implementation': 'CPython',
    }  # fmt: skip
    found = set()
    for name in locks.inputs():
        for entry in locks.read(name):
            marker = entry.requirement.marker
            if marker is None or marker.evaluate(environment):
                found.add((entry.name, entry.version))
    return found


def collect() -> list[Licence]:
    """Return the licence of each locked version that Linux on x86_64 installs."""
    metadata: dict[tuple[str, str], Any] = {}
    for python in PYTHONS:
        wanted = used(python) - metadata.keys()
        if wanted:
            metadata |= metadata_of(wanted, python)
    found = []
    for (name, version), names in locks.versions().items():
        if (name, version) not in metadata:
            continue
        licence, source = of_metadata(metadata[name, version])
        if licence == UNKNOWN and (stated := licence_in_package_xml(name)):
            licence, source = stated, 'package.xml'
        found.append(Licence(name, version, licence, kind_of(licence), source, names))
    return found


def to_json(licences: Iterable[Licence]) -> str:
    """Return the text of licences.json."""
    return json.dumps([asdict(one) for one in licences], indent=1) + '\n'
