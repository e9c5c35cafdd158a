# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
`viva embed`: read the texts of tasks with umT5, once, where there is memory for it.

Training takes the file, and a checkpoint has the rows in it: neither training nor robot ever
loads the text encoder. Texts are cleaned and embeddings filled up with zeros as diffusers'
WanPipeline does it, but for ftfy, which it applies only where that is installed: it leaves ASCII
as it is, and mends what a task's text should not have, such as curly quotes.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from viva_ros.core.errors import ConfigurationError
from viva_ros.training.text_embeddings import add_to_checkpoint, add_to_file, check_name, embed


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser('viva embed', description=__doc__.split('\n\n')[0])
    parser.add_argument('texts', nargs='+', help='what a robot is told, one text for each task')
    parser.add_argument(
        '--task', nargs='+', help='names of the tasks, as in the recordings; default: the texts'
    )
    parser.add_argument(
        '--snapshot', type=Path, required=True, help='folder with text_encoder/ and tokenizer/'
    )
    parser.add_argument('--out', type=Path, help='file to add to, such as tasks.safetensors')
    parser.add_argument('--checkpoint', type=Path, help='folder of a checkpoint to add to')
    args = parser.parse_args(argv)
    if args.out is None and args.checkpoint is None:
        raise ConfigurationError('nothing to write to: give --out, --checkpoint or both')
    if args.out is not None:
        check_name(args.out)
    made = embed(args.snapshot, args.texts, args.task)
    for task, text, length in zip(made.tasks, made.texts, made.lengths, strict=True):
        Console().print(f'{task}: {length} tokens of {text!r}', highlight=False)
    if args.out is not None:
        add_to_file(args.out, made)
    if args.checkpoint is not None:
        mark = add_to_checkpoint(args.checkpoint, made)
        Console().print(f'checkpoint {args.checkpoint} is now {mark}: export it again')
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
