"""Read by every Python that starts with this folder on its path: a worker of a sweep with a fault."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from hook import install_from_environment

install_from_environment()
sys.path.pop(0)
