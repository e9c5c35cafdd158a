# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The terminal: all text is shown as it is, without markup.

Names of files, topics and tasks, and reasons, come from others. ``[/bold]`` in a name is no markup
here, and its control characters are escaped. Styles are set by the argument ``style``.
"""

from typing import Any

from rich.console import Console
from rich.text import Text

from viva_ros.core.foreign_text import LINE_LENGTH, shown


class Terminal(Console):
    """A console whose texts, those in tables included, have no markup and are escaped."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{'markup': False, 'emoji': False, 'highlight': False, **options})

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a text as it is; the single way of texts to the console."""
        return super().render_str(
            shown(text, LINE_LENGTH, lines=True), **{**options, 'markup': False}
        )
