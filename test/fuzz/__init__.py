# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
