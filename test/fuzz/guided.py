# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
As session.py, with inputs that atheris chooses by the branches that they reach.

usage: python -m fuzz.guided FOLDER SEED COUNT SECONDS FIRST TARGET
"""

import random
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=['viva_ros', 'mcap', 'rosbags']):
    from fuzz.targets import TARGETS

from fuzz import session

LARGEST = 1 << 20  # bytes of an input


def main() -> None:
    """Read inputs until the time is over; atheris then ends the process."""
    folder, seed, count, seconds, first, name = sys.argv[1:]
    target, place = TARGETS[name], Path(folder)
    run = session.Run(session.Session(place), name, target, int(first))
    corpus = place / 'corpus'
    corpus.mkdir(exist_ok=True)
    for number, data in enumerate(session.seeds_of(name, target, place)):
        (corpus / f'seed_{number}').write_bytes(data)

    def read(data: bytes) -> None:
        for one in run.read(data):
            session.tell(one, place)

    def mutate(data: bytes, size: int, seed: int) -> bytes:
        source = random.Random(seed)
        try:
            found = target.mutate(data, source)
        except Exception:  # an input that is no longer valid: bytes only
            found = atheris.Mutate(data, size)
        return found[:size]

    session.limit_process()
    options = [
        f'-seed={int(seed) + int(first) + 1}', f'-max_total_time={float(seconds):.0f}',
        f'-runs={int(count) or -1}', f'-max_len={LARGEST}', '-rss_limit_mb=0', '-timeout=0',
        '-handle_segv=0', '-handle_abrt=0', '-handle_fpe=0',
        '-print_final_stats=0', '-verbosity=0',
    ]  # fmt: skip
    atheris.Setup([sys.argv[0], *options, str(corpus)], read, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == '__main__':
    main()
