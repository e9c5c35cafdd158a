# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Colours of all figures, distinct for colour-blind people (Okabe & Ito 2008).

The packages advantage, evaluation and visualization share only this package.
"""

from typing import Final

BLUE: Final = '#0072B2'
SKY: Final = '#56B4E9'
GREEN: Final = '#009E73'
ORANGE: Final = '#E69F00'
RED: Final = '#D55E00'
GREY: Final = '#777777'
