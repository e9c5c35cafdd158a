# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import pytest
from support.errors import raises

from viva_ros.cli.serve import main


@pytest.mark.parametrize(
    ('option', 'value', 'allowed'),
    [('--wait-ms', '-1', '0 to 1000'), ('--wait-ms', '1001', '0 to 1000'),
     ('--batch', '0', '1 to 64'), ('--batch', '65', '1 to 64')],
)  # fmt: skip
def test_serve_option_out_of_range_is_refused(option: str, value: str, allowed: str) -> None:
    with raises('serve-option', f'{option} is {value}', allowed):
        main([option, value])
