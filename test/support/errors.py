# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Expect an error with a code, and with names in its text."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from viva_ros.core.errors import VivaError


@contextmanager
def raises(
    code: str, *named: object, of: type[VivaError] = VivaError
) -> Iterator[pytest.ExceptionInfo[VivaError]]:
    """
    Expect an error with this code; yield its description.

    :param named: things and values that the text must contain: the file, the parameter, the
        number, the remedy; not whole sentences
    """
    with pytest.raises(of) as caught:
        yield caught
    text = str(caught.value)
    assert caught.value.code == code, f'{caught.value.code}: {text}'
    missing = [str(name) for name in named if str(name) not in text]
    assert not missing, f'{missing} not in: {text}'
