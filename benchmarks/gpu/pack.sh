#!/usr/bin/env bash
# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
# Gathers what a machine without network lacks into benchmarks/gpu/pack/, and prints the command to
# run there. That machine has Python 3.12, torch, triton, transformers, accelerate and OpenCV.
set -euo pipefail
cd "$(dirname "$0")/../.."
pack=benchmarks/gpu/pack
mkdir -p "$pack"

rm -f "$pack"/*.whl
platforms=()
for tag in manylinux_2_28 manylinux_2_27 manylinux_2_17 manylinux2014 manylinux1; do
  platforms+=(--platform "${tag}_x86_64")
done
# importlib_metadata 9 and later need more packages.
python3 -m pip download -q --no-deps --only-binary=:all: --python-version 3.12 \
  --implementation cp "${platforms[@]}" -d "$pack" \
  'diffusers==0.42.*' 'importlib-metadata<9' 'peft>=0.19,<0.20'

if [ ! -f "$pack/moments.npz" ]; then # needs the simulator: see scripts/setup
  PYTHONPATH=benchmarks:. python3 -P -m gpu.make_moments --out "$pack/moments.npz"
fi
du -sh "$pack"

cat <<'COMMAND'

On the machine with the GPU, in the checkout with benchmarks/gpu/pack/:

python3 -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade \
  --target /tmp/site benchmarks/gpu/pack/*.whl && export PYTHONPATH=/tmp/site:$PWD &&
  python3 benchmarks/gpu/run.py --budget 540 --out "${OUT:-gpu_out}"
COMMAND
