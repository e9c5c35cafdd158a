# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Run one engine for several monitors; simultaneous requests form a batch.

Each monitor has at most one pending request, so serving in order of arrival is fair. A request
waits for other requests only if others arrived recently, and for at most --wait-ms.
"""

import argparse
import signal
import threading
from collections.abc import Sequence
from typing import Final

from viva_ros.core.errors import ConfigurationError
from viva_ros.core.foreign_text import shown
from viva_ros.engine.backend import kinds
from viva_ros.engine.factory import load
from viva_ros.engine.remote import protocol
from viva_ros.engine.remote.server import Server, warm_up
from viva_ros.engine.resources import DEFAULT_TASK, engine_folder

MOST: Final = 64


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser('viva serve', description=__doc__)
    parser.add_argument('--engine', default='', help='Engine folder; default: the shipped engine')
    parser.add_argument(
        '--engine-kind', choices=kinds(), default='auto', help='Engine kind (default: %(default)s)'
    )
    parser.add_argument(
        '--task', default=DEFAULT_TASK, help='Task of the engine (default: %(default)s)'
    )
    parser.add_argument(
        '--address', default=protocol.AUTO,
        help='Path of the socket; default: a socket of the current user',
    )  # fmt: skip
    parser.add_argument(
        '--wait-ms', type=float, default=2.0,
        help='Longest wait of a request for other requests, ms (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument(
        '--batch', type=int, default=8, help='Largest batch (default: %(default)s)'
    )
    args = parser.parse_args(argv)
    if not 0.0 <= args.wait_ms <= 1000.0:
        raise ConfigurationError(
            'serve-option', f'--wait-ms is {args.wait_ms:g}, must be 0 to 1000'
        )
    if not 1 <= args.batch <= MOST:
        raise ConfigurationError('serve-option', f'--batch is {args.batch}, must be 1 to {MOST}')
    engine = load(engine_folder(args.engine, args.task), args.task, args.engine_kind)
    address = protocol.address_of(args.address)
    batch = warm_up(engine, args.batch)
    server = Server(engine, args.task, address, args.wait_ms * 1e-3, batch)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    print(
        f'engine {shown(engine.info.fingerprint)} ({shown(engine.info.kind)}) at '
        f'{shown(address)}, {batch:d} at once', flush=True,
    )  # fmt: skip
    try:
        server.run(stopped.is_set)
    finally:
        server.close()
    served = server.served
    if served.apart:
        print(f'{served.apart:d} batches failed and were estimated one by one')
    print(f'{served.requests:d} requests in {served.batches:d} batches')
    return 0
