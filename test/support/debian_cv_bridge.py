# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Convert images by Debian's cv_bridge: the same C++ code as in ROS 2, for the messages of ROS 1.

usage: /usr/bin/python3 debian_cv_bridge.py FOLDER; reads FOLDER/images.json, a list of encoding,
height, width, step and data (hexadecimal), and writes FOLDER/N.npy for number N, (H, W, 3) RGB.
It runs in the Python of Debian, which knows nothing of this project.
"""

import json
import sys
from pathlib import Path

import cv_bridge
import numpy as np
from sensor_msgs.msg import Image

folder = Path(sys.argv[1])
for number, image in enumerate(json.loads((folder / 'images.json').read_text())):
    message = Image(**{**image, 'data': bytes.fromhex(image['data'])})
    np.save(folder / f'{number}.npy', cv_bridge.CvBridge().imgmsg_to_cv2(message, 'rgb8'))
