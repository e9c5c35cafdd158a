# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Command-line options from settings dataclasses.

A field declared with ``core.settings.setting`` becomes an argparse option: its name, type,
choices, range, default and help come from the field, and the dataclass checks the values as it
does those of a Python caller.

tyro does the same for any dataclass and was tried (1.0.17). It was not chosen because it changes
the command line: nested fields get dotted names (``--plan.vae.steps``), abbreviated options are
refused, every switch gets a ``--no-`` form, and ranges are not part of its help. Shell completion
reads an argparse parser, which tyro returns only from a deprecated function. It would also add
three packages (tyro, typeguard, docstring-parser) in place of this module.
"""

import argparse
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from viva_ros.core.settings import SettingInfo, setting_of


def add_options(
    parser: argparse._ActionsContainer,
    settings: type,
    *names: str,
    flags: Mapping[str, str] | None = None,
    keywords: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """
    Add an option for each setting of a dataclass.

    :param parser: a parser, or a group of one
    :param names: fields to add, in the order of the help; none: all
    :param flags: field to option where the names differ; without dashes: a positional argument
    :param keywords: field to keywords of ``add_argument`` that replace those of the setting
    """
    for name in names or [field.name for field in fields(settings)]:
        flag = (flags or {}).get(name, '')
        add_option(parser, setting_of(settings, name), flag, **(keywords or {}).get(name, {}))


def add_option(
    parser: argparse._ActionsContainer, info: SettingInfo, flag: str = '', **keywords: Any
) -> None:
    """
    Add the option of one setting.

    :param flag: of the option; empty: the name of the setting; without dashes: positional
    :param keywords: of ``add_argument``; these replace those of the setting
    """
    flag = flag or '--' + info.name.replace('_', '-')
    defaults = {'help': help_text(info), **_keywords(info)}
    if flag.startswith('-'):
        defaults |= {'dest': info.name, 'required': info.default is MISSING}
    parser.add_argument(flag, **defaults | keywords)


def read_options(args: argparse.Namespace, settings: type) -> dict[str, Any]:
    """Return the values of the options by name of their field in a dataclass."""
    values = {field.name: getattr(args, field.name) for field in fields(settings)
              if hasattr(args, field.name)}  # fmt: skip
    return {name: tuple(one) if isinstance(one, list) else one for name, one in values.items()}


def help_text(info: SettingInfo) -> str:
    """Return the description of a setting with its range and default."""
    notes = []
    if info.kind in (int, float) and str(info.limits) != 'finite':
        notes.append(str(info.limits))
    if info.kind is not bool and info.default not in (MISSING, None, '', ()):
        words = info.default if info.kind is tuple else (info.default,)
        notes.append(f'default: {" ".join(map(str, words))}')
    text = info.doc.removesuffix('.') + f' ({"; ".join(notes)})' * bool(notes)
    return text.replace('%', '%%')


def _keywords(info: SettingInfo) -> dict[str, Any]:
    """Return type, default, choices and number of values; a bool is a switch, off by default."""
    if info.kind is bool:
        return {'action': 'store_true'}
    default = None if info.default is MISSING else info.default
    if info.kind is tuple:
        return {'type': info.entry, 'nargs': '+', 'default': list(default or ())}
    return {'type': info.kind, 'choices': info.limits.choices, 'default': default}
