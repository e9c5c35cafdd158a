#!/usr/bin/env bash
# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
# Collect the missing packages for a machine without network, and print the commands to run there.
# That machine has Python 3.12, torch, triton, transformers, accelerate, onnx and OpenCV.
#
# Without an argument: for parts 1 to 5, in benchmarks/gpu/pack/.
# --tensorrt: for part 6, in benchmarks/gpu/pack_a/ and pack_b/, if transfers are limited to 64 MiB.
# TENSORRT_DIR keeps the wheels and the archive (minutes to compress) for the next call.
set -euo pipefail
cd "$(dirname "$0")/../.."
pack=benchmarks/gpu/pack
mkdir -p "$pack"

platforms=()
for tag in manylinux_2_28 manylinux_2_27 manylinux_2_17 manylinux2014 manylinux1; do
  platforms+=(--platform "${tag}_x86_64")
done
download() { # folder, requirements
  python3 -m pip download -q --no-deps --only-binary=:all: --python-version 3.12 \
    --implementation cp "${platforms[@]}" -d "$@"
}

rm -f "$pack"/*.whl
# importlib_metadata 9 and later need more packages.
download "$pack" 'diffusers==0.42.*' 'importlib-metadata<9' 'peft>=0.19,<0.20'
if [ ! -f "$pack/moments.npz" ]; then # needs the simulator: see scripts/setup
  PYTHONPATH=benchmarks:. python3 -P -m gpu.make_moments --out "$pack/moments.npz"
fi

if [ "${1:-}" != --tensorrt ]; then
  du -sh "$pack"
  cat <<'COMMAND'

On the machine with the GPU, in the checkout with benchmarks/gpu/pack/:

python3 -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade \
  --target /tmp/site benchmarks/gpu/pack/*.whl && export PYTHONPATH=/tmp/site:$PWD &&
  python3 benchmarks/gpu/run.py --budget 540 --out "${OUT:-gpu_out}"
COMMAND
  exit
fi

version=1.7.1.116
kept=${TENSORRT_DIR:-$(mktemp -d)}
archive=$kept/tensorrt.tar.xz
if [ ! -f "$archive" ]; then # half the size of the wheels
  download "$kept" "tensorrt_rtx_cu13_libs==$version" "tensorrt_rtx_cu13_bindings==$version"
  python3 -m pip wheel -q --no-deps -w "$kept" "tensorrt_rtx_cu13==$version" # a source archive
  site=$(mktemp -d)
  for wheel in "$kept"/tensorrt_rtx_cu13*"$version"*.whl; do
    python3 -m zipfile -e "$wheel" "$site"
  done
  tar -C "$site" --sort=name --owner=0 --group=0 -c . |
    xz --x86 --lzma2=preset=9e,dict=256MiB > "$archive.part"
  mv "$archive.part" "$archive"
  rm -r "$site"
fi

first=benchmarks/gpu/pack_a second=benchmarks/gpu/pack_b
rm -rf "$first" "$second"
mkdir -p "$first" "$second"
cp "$pack"/*.whl "$pack/moments.npz" "$first"
download "$first" 'rosbags==0.11.*' # imported by the comparison, though no recording is read
split -n 2 -d -a 1 "$archive" "$first/tensorrt."
mv "$first/tensorrt.1" "$second"
PYTHONPATH=. python3 -P -m viva_ros.cli.main export engines/viperx --engine tensorrt_rtx \
  --precision float16 --build-only --capability 80 86 89 120 --out "$second/ahead"
rm "$second"/ahead/model.* # as in engines/viperx
du -sh --apparent-size "$first" "$second" "$second/ahead"

cat <<'COMMANDS'

On the machine with the GPU, in the checkout with benchmarks/gpu/pack_a/:

python3 -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade \
  --target /tmp/site benchmarks/gpu/pack_a/*.whl && mkdir -p /tmp/pack &&
  cp benchmarks/gpu/pack_a/{tensorrt.0,moments.npz} /tmp/pack/ && ls -l /tmp/pack

Then in the checkout with benchmarks/gpu/pack_b/:

mkdir -p benchmarks/gpu/pack && cp /tmp/pack/moments.npz benchmarks/gpu/pack/ &&
  cp -r benchmarks/gpu/pack_b/ahead benchmarks/gpu/pack/ &&
  cat /tmp/pack/tensorrt.0 benchmarks/gpu/pack_b/tensorrt.1 | python3 -c "import sys, tarfile
tarfile.open(fileobj=sys.stdin.buffer, mode='r|xz').extractall('/tmp/site', filter='data')" &&
  export PYTHONPATH=/tmp/site:$PWD PYTHONUNBUFFERED=1 &&
  python3 benchmarks/gpu/run.py --parts 6 --budget 330 --limit 6=300 --out "${OUT:-gpu_out}"
COMMANDS
