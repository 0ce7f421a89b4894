# Sourced by quickstart.sh and test.sh: makes .venv and installs gradfree with the pinned versions, once.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "gradfree needs Python 3.11 or newer; name one with PYTHON=/path/to/python bash $0" >&2
  exit 1
}
stamp=.venv/installed
wanted=$(cat pyproject.toml constraints.txt scripts/setup.sh | cksum)
if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
  [ -x .venv/bin/python ] || "$python" -m venv .venv
  .venv/bin/python -m pip install --quiet --disable-pip-version-check \
    --constraint constraints.txt --editable '.[dev]'
  rm -rf build gradfree.egg-info  # a left-over of the build that would hide the installed entry points
  echo "$wanted" > "$stamp"
fi
export PATH="$PWD/.venv/bin:$PATH"
