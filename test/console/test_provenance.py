# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import sys

import pytest

from viva_ros.console.provenance import made_by


def test_command_in_markdown_is_one_code_span(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, 'argv', ['viva', 'evaluate', 'a`b``c', 'x\x1b[31m\n'])
    text = made_by('evaluate', '`')
    assert text.startswith("Made by ```viva evaluate 'a`b``c' 'x\\x1b[31m\\n'``` on ")
    assert made_by('evaluate').startswith("Made by viva evaluate 'a`b``c'")
    monkeypatch.setattr(sys, 'argv', ['viva', 'evaluate', 'a'])
    assert made_by('evaluate', '`').startswith('Made by `viva evaluate a` on ')
