# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Embed task descriptions with umT5, once, on a machine with enough memory.

Training reads the file, and a checkpoint contains the rows: neither training nor the robot loads
the text encoder. Texts are cleaned and embeddings padded with zeros as in WanPipeline of
diffusers, except for ftfy, which WanPipeline applies only if it is installed: ftfy keeps ASCII
and replaces characters such as curly quotes.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from viva_ros.console.terminal import Terminal
from viva_ros.core.errors import ConfigurationError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser('viva embed', description=__doc__.split('\n\n')[0])
    parser.add_argument('texts', nargs='+', help='Task descriptions, one text for each task')
    parser.add_argument(
        '--task', nargs='+', help='Names of the tasks as in the recordings; default: the texts'
    )
    parser.add_argument(
        '--snapshot', type=Path, required=True, help='Folder with text_encoder/ and tokenizer/'
    )
    parser.add_argument(
        '--out', type=Path, help='File to add embeddings to, such as tasks.safetensors'
    )
    parser.add_argument('--checkpoint', type=Path, help='Checkpoint folder to add embeddings to')
    args = parser.parse_args(argv)
    if args.out is None and args.checkpoint is None:
        raise ConfigurationError(
            'embed-output-missing', '--out and --checkpoint are missing: use one of them, or both'
        )
    # transformers takes 10 s to import: not for --help
    from viva_ros.training.text_embeddings import add_to_checkpoint, add_to_file, check_name, embed

    if args.out is not None:
        check_name(args.out)
    made = embed(args.snapshot, args.texts, args.task)
    for task, text, length in zip(made.tasks, made.texts, made.lengths, strict=True):
        Terminal().print(f'{task}: {length} tokens of {text!r}', highlight=False)
    if args.out is not None:
        add_to_file(args.out, made)
    if args.checkpoint is not None:
        fingerprint = add_to_checkpoint(args.checkpoint, made)
        Terminal().print(
            f'checkpoint {args.checkpoint} has the new fingerprint {fingerprint}: export it again'
        )
    return 0
