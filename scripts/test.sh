#!/usr/bin/env bash
# Everything that must hold: lint, format, types, layers, doctests and tests. Options go to pytest.
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
export HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1
ruff check .
ruff format --check .
mypy
lint-imports
pytest --numprocesses auto --doctest-modules harness tasks algorithms tests "$@"
