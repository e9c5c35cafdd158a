# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import threading

import pytest

from viva_ros.console.progress import following


def test_bar_ends_with_its_block_after_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    before = set(threading.enumerate())
    with pytest.raises(ZeroDivisionError) as caught, following([1, 0], 'dividing') as shown:
        for item in shown:
            assert 1 // item
    assert caught.value.__traceback__ is not None  # the error is kept, and its frames with it
    for thread in set(threading.enumerate()) - before:
        thread.join(20.0)
        assert not thread.is_alive()  # nothing draws the bar any more
    assert 'dividing' in capsys.readouterr().err


def test_bar_gives_the_items_in_order() -> None:
    with following('abc', 'spelling') as shown:
        assert list(shown) == ['a', 'b', 'c']
