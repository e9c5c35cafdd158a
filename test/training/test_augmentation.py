# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import torch

from viva_ros.training.augmentation import AugmentSettings, augment, drop_views

STILL = AugmentSettings(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_zero_augmentation_keeps_pixels() -> None:
    pixels = torch.rand(2, 3, 8, 8) * 2 - 1
    torch.testing.assert_close(augment(pixels, STILL, generator()), pixels, atol=1e-5, rtol=0)


def test_augmented_images_stay_in_range_and_differ() -> None:
    pixels = torch.rand(1, 3, 16, 16).repeat(4, 1, 1, 1) * 2 - 1
    changed = augment(pixels, AugmentSettings(), generator())
    assert changed.shape == pixels.shape
    assert changed.abs().max() <= 1
    assert not torch.isclose(changed[0], changed[1], atol=1e-3).all()


def test_equal_generators_augment_equally() -> None:
    pixels = torch.rand(2, 3, 8, 8)
    assert torch.equal(
        augment(pixels, AugmentSettings(), generator(5)),
        augment(pixels, AugmentSettings(), generator(5)),
    )


def test_shift_is_at_most_its_share_of_the_side() -> None:
    pixels = -torch.ones(64, 3, 20, 20)
    pixels[:, :, :, 10:12] = 1.0
    moved = augment(pixels, AugmentSettings(0.1, 0.0, 0.0, 0.0, 0.0), generator())
    centre = ((moved.mean(dim=(1, 2)) + 1) * torch.arange(20)).sum(1)
    centre = centre / (moved.mean(dim=(1, 2)) + 1).sum(1)
    offsets = centre - 10.5
    assert offsets.abs().max() <= 2.0 + 1e-3  # 0.1 * 20 px
    assert offsets.max() > 1.0
    assert offsets.min() < -1.0


def test_drop_zeroes_a_tenth_of_the_views() -> None:
    latents = torch.ones(2000, 3, 2, 2, 2)
    kept = drop_views(latents, 0.1, generator()).flatten(2)
    assert ((kept == 0).all(dim=2) | (kept == 1).all(dim=2)).all()
    assert abs(float((kept == 0).float().mean()) - 0.1) < 0.02
