# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import gc
import weakref

from viva_ros.core.observation import Estimate
from viva_ros.nodes.estimation import Estimation


class Held:
    """An engine, and an observer without images."""

    info = None

    def estimate(self, observation: object) -> Estimate:
        return Estimate(0.5, {})

    def observe(self, selection: object) -> object:
        return selection

    def reset(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def test_closed_estimation_keeps_no_engine() -> None:
    """Sockets and memory of an exchanged engine would stay until a garbage collection."""
    engine = Held()
    known, estimation = weakref.ref(engine), Estimation(engine, Held(), lambda: None)
    gc.disable()
    try:
        assert estimation.close()
        del engine, estimation
        assert known() is None
    finally:
        gc.enable()
