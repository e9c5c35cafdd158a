# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Progress bars on the terminal's error output."""

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from typing import TypeVar, cast

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    track,
)

from viva_ros.console.terminal import Terminal

T = TypeVar('T')


def new_bar(what: str, total: int, done: int = 0, shown: bool = True) -> Progress:
    """Return a progress bar with one task, to be used as a context manager."""
    columns = (
        TextColumn('{task.description}', markup=False), BarColumn(), MofNCompleteColumn(),
        TimeRemainingColumn(),
    )  # fmt: skip
    console = Terminal(stderr=True)
    progress = Progress(*columns, console=console, refresh_per_second=1, disable=not shown)
    progress.add_task(what, total=total, completed=done)
    return progress


def bar(items: Iterable[T], what: str, total: int) -> Iterator[T]:
    """Yield the items and show a progress bar."""
    with new_bar(what, total) as progress:
        for item in items:
            yield item
            progress.advance(progress.task_ids[0])


def following(
    items: Sequence[T], what: str, console: Console | None = None
) -> closing[Generator[T]]:
    """
    Return a context manager of the items behind a progress bar.

    The bar ends with the block. After an error a generator would go on drawing it as long as the
    error is kept.

    :param console: default: the terminal's error output
    """
    shown = track(items, what, console=console or Terminal(stderr=True))
    return closing(cast('Generator[T]', shown))


def note(text: str) -> None:
    """Print a line to stderr, without markup."""
    Terminal(stderr=True).print(text, highlight=False, markup=False, soft_wrap=True)
