#!/usr/bin/env bash
# Known weaknesses of the pinned versions, looked up by pip-audit. Needs the network; what cannot be looked up
# is a failure too, so that silence means that there are none.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check pip-audit
"$folder/bin/pip-audit" --strict --no-deps --disable-pip --requirement constraints.txt "$@"
