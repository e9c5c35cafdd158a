# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Limits of what others write: messages and files above them are refused by name.

They are far above what robots record, and low enough that no input takes all memory. A reader
checks the size in a header before it allocates, and the real size while it decompresses.
"""

from typing import Final

PIXEL_LIMIT: Final = (
    64_000_000  # pixels of one image or video frame; cameras have up to 50 million
)
IMAGE_LIMIT: Final = 256 << 20  # bytes of one image file
CHUNK_LIMIT: Final = 256 << 20  # bytes of a chunk of a recording, stored or decompressed
MESSAGE_LIMIT: Final = 256 << 20  # bytes of one message
TEXT_LIMIT: Final = 64 << 20  # bytes of a JSON or YAML file
DEPTH_LIMIT: Final = 64  # levels of objects and lists in JSON or YAML
DEFINITION_LIMIT: Final = 256 << 10  # bytes of a message definition, with those of its fields
CHANNEL_LIMIT: Final = 2_000  # topics of a bag, one for each of their publishers
MEMBER_LIMIT: Final = 10_000  # groups, datasets and attributes of an episode in HDF5
EPISODE_LIMIT: Final = 100_000  # episodes of an HDF5 file
ELEMENT_LIMIT: Final = 1_000_000  # elements of the arrays of fixed size in a message
NESTING_LIMIT: Final = 16  # levels of messages in a message
TABLE_LIMIT: Final = 1 << 30  # bytes of the columns of a table that are read at once, decoded
