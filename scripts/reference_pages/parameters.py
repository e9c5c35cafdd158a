# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page of all parameters: a section for each node, a table for each group."""

import dataclasses
from collections.abc import Iterator
from typing import Any, Final

from scripts.reference_pages.config import ADVISORY, allowed, scalar
from scripts.reference_pages.markdown import GENERATED, cell, code, table
from viva_ros.core.settings import SettingInfo, flatten
from viva_ros.nodes.settings import RENAMED, SETTINGS

TYPES: Final = {
    bool: 'bool', int: 'integer', float: 'double', str: 'string', tuple: 'string array',
}  # fmt: skip
TITLES: Final = {
    'monitor': 'Monitor', 'supervisor': 'Supervisor', 'black_box': 'Black box',
    'sim': 'Simulated robot',
}  # fmt: skip
INTRODUCTION: Final = f"""\
# Parameters

{GENERATED}

{ADVISORY}

Each node reads its parameters in the transition `configure`. Those marked *live* may also be set
while the node is configured. An invalid value fails the transition; the error names the parameter,
its value, the valid range and a fix. A number must be finite. ROS cannot type an empty list:
`['']` is the empty list.

The files `config/monitor.yaml`, `config/supervisor.yaml`, `config/black_box.yaml` and
`config/sim.yaml` hold the same defaults.
"""


def make() -> str:
    """Return the page."""
    sections = [INTRODUCTION]
    for node, settings in SETTINGS.items():
        sections.append(f'## {TITLES[node]}\n\nNode `{node}`.\n')
        sections += [_section(*group) for group in _groups(settings)]
    if RENAMED:
        rows = [[code(old), cell(new)] for old, new in RENAMED.items()]
        sections.append('## Removed names\n\n' + table(['name', 'use instead'], rows))
    return '\n'.join(sections)


def _groups(settings: Any) -> Iterator[tuple[str, str, list[SettingInfo]]]:
    """Yield prefix, sentence and settings of each group; first those without a prefix."""
    found = list(flatten(settings))
    yield '', '', [info for info in found if '.' not in info.name]
    for field in dataclasses.fields(settings):
        group = getattr(settings, field.name)
        if dataclasses.is_dataclass(group):
            sentence = (type(group).__doc__ or '').strip().splitlines()[0]
            prefix = f'{field.name}.'
            yield field.name, sentence, [one for one in found if one.name.startswith(prefix)]


def _section(prefix: str, sentence: str, settings: list[SettingInfo]) -> str:
    rows = [
        [code(info.name), TYPES[type(info.default)], code(scalar(info.default)), cell(info.doc),
         '; '.join([cell(allowed(info))] * bool(allowed(info)) + ['*live*'] * info.live)]
        for info in settings
    ]  # fmt: skip
    heading = f'### `{prefix}`\n\n{sentence}\n\n' if prefix else ''
    return heading + table(['parameter', 'type', 'default', 'meaning', 'allowed'], rows)
