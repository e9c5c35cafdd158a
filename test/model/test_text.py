# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import torch

from viva_ros.model.text import embed_task


def test_a_text_always_has_the_same_embedding_and_another_text_another() -> None:
    first = embed_task('tray_lift', 2, 64)
    assert torch.equal(first, embed_task('tray_lift', 2, 64))
    other = embed_task('cube_transfer', 2, 64)
    assert abs(float((first * other).mean())) < 0.3


def test_each_row_has_unit_root_mean_square() -> None:
    rows = embed_task('tray_lift', 3, 64)
    torch.testing.assert_close(rows.square().mean(dim=1), torch.ones(3))
    assert not torch.equal(rows[0], rows[1])
