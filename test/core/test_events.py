# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import re
from pathlib import Path

from viva_ros.core.events import Level
from viva_ros.core.events import kinds as event_kinds

ALERT = (Path(__file__).parents[2] / 'msg' / 'Alert.msg').read_text()


def test_levels_are_the_constants_of_the_message() -> None:
    constants = {name: int(n) for name, n in re.findall(r'^uint8 (\w+) = (\d)', ALERT, re.M)}
    assert constants == {level.name: level.value for level in Level}


def test_kinds_are_those_that_the_message_lists() -> None:
    comment = ALERT[: ALERT.index('string kind')].rsplit('\n\n', 1)[1]
    assert set(re.findall(r'[a-z_]+', comment)) == set(event_kinds())
