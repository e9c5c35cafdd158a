# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

from collections.abc import Callable
from typing import Any

import pytest
import torch

from viva_ros.model.lean import LeanViVa
from viva_ros.model.viva import ViVa


@pytest.mark.parametrize('changes', [{}, {'per_token_times': True}, {'text_tokens': 3}])
def test_the_lean_form_gives_the_same_value_and_forecast(
    make_viva: Callable[..., ViVa], changes: dict[str, Any]
) -> None:
    viva = make_viva(**changes)
    lean = LeanViVa(viva).eval()
    torch.manual_seed(5)
    images = torch.randint(0, 256, (2, 3, 32, 32, 3)).byte()
    joints, task = torch.rand(2, 3) * 3 - 1.5, torch.tensor([0, 1])
    with torch.inference_mode():
        expected, given = viva(images, joints, task), lean(images, joints, task)
    torch.testing.assert_close(given[0], expected[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(given[1], expected[1], atol=1e-5, rtol=0)
    assert expected[0][0] != expected[0][1]
