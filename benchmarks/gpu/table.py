# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Short table of all figures, with the standard library only."""

from collections.abc import Mapping
from typing import Any, Final

#: Figures that a line shows, in order: key, heading, how.
SHOWN: Final = (
    ('p50_ms', 'p50', '{:.2f} ms'), ('p95_ms', 'p95', '{:.2f} ms'),
    ('share_of_limit', 'of limit', '{:.0%}'), ('cost_of_one', 'cost of one', '{:.2f}'),
    ('value_max', 'value', '{:.2g}'), ('joints_max_share', 'joints', '{:.2g} of range'),
    ('graph_equals_eager', 'graph equals eager', '{}'), ('max_levels', 'levels', '{}'),
    ('flat', 'flat', '{}'), ('peak_gb', 'peak', '{:.1f} GB'),
    ('computed_gb', 'computed', '{:.1f} GB'), ('step_s', 'step', '{:.3f} s'),
    ('build_s', 'build', '{:.1f} s'), ('load_s', 'load', '{:.2f} s'),
    ('first_s', 'first', '{:.2f} s'), ('value_relative', 'value', '{:.2g} relative'),
    ('right', 'right', '{}'), ('accepted', 'accepted', '{}'),
    ('layers', 'layers', '{}'), ('unique_graphs', 'graphs', '{}'), ('meets_aim', 'aim', '{}'),
)  # fmt: skip
WIDTH: Final = 58


def lines(parts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the table: for each part its state, then one line for each row."""
    found = []
    for name, content in parts.items():
        found.append(f'== {name}: {content.get("state", "?")}, {content.get("wall_s", 0):.0f} s')
        if 'error' in content:
            found.append(f'   {content["error"]}')
        if 'ceilings' in content:
            peaks = content['ceilings']
            found.append(
                f'   ceilings: {peaks["bf16_tflops"]:.4g} TFLOP/s in bfloat16, '
                f'{peaks["bandwidth_tb_s"]:.3g} TB/s'
            )
        found += [f'   {key[:WIDTH]:{WIDTH}} {_row(row)}' for key, row in content['rows'].items()]
    return found


def _row(row: Mapping[str, Any]) -> str:
    if 'error' in row:
        return f'ERROR {row["error"][:90]}'
    if 'skipped' in row:
        return f'skipped: {row["skipped"]}'
    parts = [_figure(row[key], title, form) for key, title, form in SHOWN if key in row]
    parts += [_nested(key, item) for key, item in row.items() if isinstance(item, Mapping)]
    return ', '.join(filter(None, parts))


def _figure(value: Any, title: str, form: str) -> str:
    try:
        return f'{title} {form.format(value)}'
    except (TypeError, ValueError):  # 'nan' and 'inf' are texts in JSON
        return f'{title} {value}'


def _nested(key: str, item: Mapping[str, Any]) -> str:
    """Return the main figures of a group in a row."""
    if 'policy_p95_rise' in item:
        rise, monitor = item['policy_p95_rise'], item['monitor']
        return f'{key}: policy p95 {rise:+.1%}, monitor p95 {monitor["p95_ms"]:.1f} ms'
    for name in ('value_max', 'p95_ms', 'kernel_relative', 'all_layers_ms'):
        if name in item:
            return f'{key} {_figure(item[name], name, "{:.3g}")}'
    return ''
