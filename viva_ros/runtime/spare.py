# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An engine that is loaded when it is needed, in a thread, while others go on."""

import threading
import time
from collections.abc import Callable
from typing import Final

from viva_ros.core.errors import EngineError
from viva_ros.engine.api import Engine, EngineInfo, Interruptible

AGAIN: Final = 5.0  # s, until what failed is tried again


class Spare:
    """
    One thread asks for it; ``interrupt`` may be called by another.

    :param load: gives the engine
    :param check: what is loaded is compared with what was there before; raises EngineError
    """

    def __init__(self, load: Callable[[], Engine], check: Callable[[EngineInfo], None]) -> None:
        self._load, self._check = load, check
        self._guard = threading.Lock()  # between the end of loading and interrupt
        self._loading, self._closed, self._failed = False, False, 0.0
        self.engine: Engine | None = None
        self.error: Exception | None = None  # why it could not be loaded

    def load_now(self) -> Engine:
        """Load it while the caller waits; nothing is there to compare it with."""
        self.engine = self._load()
        return self.engine

    def get(self) -> Engine | None:
        """
        Give it, or None while it is loaded.

        :raises EngineError: if that failed; it is tried again every AGAIN seconds
        """
        if self.engine is not None:
            return self.engine
        if not self._loading and (self.error is None or time.monotonic() - self._failed >= AGAIN):
            self._loading = True
            threading.Thread(target=self._run, name='viva_spare', daemon=True).start()
        error = self.error
        if error is not None:
            raise EngineError(f'an engine of our own cannot be loaded: {error}') from error
        return None

    def drop(self) -> None:
        """Give its memory back; it can be asked for again."""
        with self._guard:
            engine, self.engine, self.error = self.engine, None, None
        if engine is not None:
            engine.close()

    def interrupt(self) -> None:
        """End an estimate that hangs, where the engine can; it is of no use after."""
        with self._guard:
            self._closed = True
            engine = self.engine
        if isinstance(engine, Interruptible):
            engine.interrupt()

    def close(self) -> None:
        """Free it; one that is being loaded is freed when it is."""
        with self._guard:
            self._closed = True
        self.drop()

    def _run(self) -> None:
        try:
            engine = self._load()
            try:
                self._check(engine.info)
            except EngineError:
                engine.close()
                raise
            with self._guard:
                if not self._closed:
                    self.engine, self.error = engine, None
            if self._closed and self.engine is not engine:
                engine.close()
        except Exception as error:  # whatever a library raises
            self.error, self._failed = error, time.monotonic()
        finally:
            self._loading = False
