# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The colours of all pictures, which colour-blind people can tell apart (Okabe & Ito 2008).

It stands here because the advantage, evaluation and visualization rooms share no other one.
"""

from typing import Final

BLUE: Final = '#0072B2'
SKY: Final = '#56B4E9'
GREEN: Final = '#009E73'
ORANGE: Final = '#E69F00'
RED: Final = '#D55E00'
GREY: Final = '#777777'
