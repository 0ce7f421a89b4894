"""What a result was measured on: stored once in a folder, named by a short key in its rows."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version

_LIBRARIES = ("gradfree", "torch", "transformers", "tokenizers", "numpy", "cma", "nevergrad", "optuna")


def environment(device: str = "cpu", dtype: str = "float32") -> dict[str, str]:
    """Versions, machine and threads, as plain text. Nothing in it names the machine or its user.

    >>> sorted(set(environment()) & {"python", "torch", "device"})
    ['device', 'python', 'torch']
    """
    import torch

    found = {
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "processors": str(os.cpu_count()),
        "threads": str(torch.get_num_threads()),
        "device": device,
        "dtype": dtype,
    }
    if device.startswith("cuda") and torch.cuda.is_available():
        found["device_name"] = torch.cuda.get_device_name(device)
    for library in _LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found


def environment_key(description: dict[str, str]) -> str:
    """Eight characters that stand for an environment in the tables.

    >>> environment_key({"python": "3.11"}) == environment_key({"python": "3.11"})
    True
    """
    return hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()[:8]
