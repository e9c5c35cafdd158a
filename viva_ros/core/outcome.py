# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Outcomes as other tools write them: booleans, 0 and 1, or words.

Anything else, such as NaN or an unknown word, is no outcome: it is never converted by truth value,
by which the text 'failure' and NaN would be successes.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from viva_ros.core.errors import ConfigurationError

YES: Final = ('true', '1', 'yes', 'success', 'succeeded', 'successful')
NO: Final = ('false', '0', 'no', 'failure', 'fail', 'failed', 'unsuccessful')
FRAMES: Final = ('all', 'any', 'last')


@dataclass(frozen=True)
class OutcomeWords:
    """
    The words of an outcome, in lower case; 1 and 1.0 have the word '1', True has 'true'.

    :raises ValueError: if a word has both outcomes, or an outcome has none
    """

    true: tuple[str, ...] = YES
    false: tuple[str, ...] = NO

    def __post_init__(self) -> None:
        both = sorted(set(self.true) & set(self.false))
        if both or not self.true or not self.false:
            raise ValueError(f'words are {self.true} and {self.false}: need both, without overlap')

    @property
    def text(self) -> str:
        """Return all words, for an error text."""
        return ', '.join((*self.true, *self.false))


WORDS: Final = OutcomeWords()


def outcome(value: object, words: OutcomeWords = WORDS) -> bool | None:
    """
    Return the outcome of a value; None if it has none.

    :param value: a boolean, a number, a text or bytes, or a sequence of one of them
    """
    word = outcome_word(value)
    return True if word in words.true else False if word in words.false else None


def outcome_word(value: object) -> str:
    """Return a value as a word in lower case; '' if it cannot be one."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, list | tuple):
        return outcome_word(value[0]) if len(value) == 1 else ''
    if isinstance(value, bytes):
        value = value.decode(errors='replace')
    if isinstance(value, float):
        return f'{value:g}' if math.isfinite(value) else ''
    return str(value).strip().lower() if isinstance(value, bool | int | str) else ''


def outcome_of_frames(
    column: str, values: Sequence[object], words: OutcomeWords = WORDS, frames: str = 'all'
) -> tuple[bool | None, str]:
    """
    Return the outcome of a column with a value for each frame, and a reason if it has none.

    A success that lasts to the end, and a failure in all frames, are clear. A success that does
    not last is one by 'any', and a failure by 'last'.

    :param frames: one of FRAMES
    """
    found = [outcome(value, words) for value in values]
    if not found:
        return None, 'it has no frames'
    unknown = next((k for k, one in enumerate(found) if one is None), None)
    if unknown is not None:
        return None, f'frame {unknown} has {values[unknown]!r}, must be one of {words.text}'
    if frames == 'last' or found[-1] or not any(found):
        return found[-1], ''
    if frames == 'any':
        return True, ''
    first, last = found.index(True), len(found) - 1 - found[::-1].index(True)
    return None, (
        f'it is true from frame {first} to {last} and false in the last frame {len(found) - 1}: '
        f'set "label: {{column: {column}, frames: any}}" or "frames: last" in the map'
    )


def agreed(found: Mapping[str, bool | None]) -> tuple[bool | None, str]:
    """
    Return the outcome of several sources, and a reason if they contradict each other.

    :param found: source to outcome; None is ignored
    """
    known = {name: one for name, one in found.items() if one is not None}
    if len(set(known.values())) > 1:
        named = ', '.join(f'{name} has {_text(one)}' for name, one in known.items())
        return None, f'sources of its outcome contradict each other: {named}'
    return next(iter(known.values()), None), ''


def _text(success: bool) -> str:
    return 'success' if success else 'failure'


def likely_columns(names: Iterable[str]) -> list[str]:
    """Return the columns whose names suggest an outcome, for an error text."""
    return sorted(n for n in names if any(part in n.lower() for part in ('succ', 'outcome')))


def outcome_at(where: str, value: object) -> bool:
    """
    Return the outcome of a value in a table.

    :param where: file and line, for the error text
    :raises ConfigurationError: if the value has no outcome
    """
    found = outcome(value)
    if found is None:
        raise ConfigurationError(
            'outcome-word', f'{where}: success is {value!r}, must be one of {WORDS.text}'
        )
    return found
