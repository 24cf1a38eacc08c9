#!/bin/sh
# `bench gpu` on a machine that has torch and transformers, but neither the other packages nor internet.
#
#   sh experiments/benchmarks/gpu.sh wheels     # first, where there is internet: runs/wheels, 10 MB
#   sh experiments/benchmarks/gpu.sh            # there: installs the wheels into runs/site, then runs `bench gpu`
#
# For a machine with another Python: gpu.sh wheels --python-version 3.12 --platform manylinux_2_28_x86_64 --platform ...
set -eu
cd "$(dirname "$0")/../.."
PYTHON=${PYTHON:-python3}
if [ "${1:-}" = wheels ]; then
    shift
    "$PYTHON" -m pip wheel --quiet --no-deps -w runs/wheels -c constraints.txt antlr4-python3-runtime # comes as source
    "$PYTHON" -m pip download --quiet --no-deps --only-binary=:all: -d runs/wheels -c constraints.txt "$@" \
        diffusers hydra-core omegaconf importlib-metadata zipp soundfile cffi pycparser pyroomacoustics
    exit
fi
if [ -d runs/wheels ]; then
    "$PYTHON" -m pip install --quiet --no-index --no-deps --upgrade --target runs/site runs/wheels/*.whl
    export PYTHONPATH="$PWD/runs/site${PYTHONPATH:+:$PYTHONPATH}"
fi
exec "$PYTHON" -m experiments.bench gpu "$@"
