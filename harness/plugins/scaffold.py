"""A new package with one algorithm in it: installable, registered, and passing the conformance kit."""

from __future__ import annotations

import importlib.util
import keyword
import re
from importlib import resources
from pathlib import Path

from harness.core.errors import UserError
from harness.plugins.messages import shown
from harness.plugins.registry import ALGORITHMS

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")

_PYPROJECT = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "{name}"
version = "0.1.0"
description = "An algorithm for gradfree"
requires-python = ">=3.11"
dependencies = ["gradfree"]

[project.entry-points."gradfree.algorithms"]
{name} = "{module}:{kind}"

[tool.setuptools]
py-modules = ["{module}"]
"""

_TEST = '''\
"""The algorithm keeps gradfree's contract."""

from harness import check_algorithm


def test_it_passes_the_conformance_kit():
    check_algorithm("{name}")
'''

_README = """\
# {name}

An algorithm for gradfree, in `{module}.py`.

```bash
pip install -e .
gradfree check {name}
pytest
gradfree sweep --tasks sphere --algorithms {name},random --budget 200 --out results/first
```
"""


def write_package(name: str, into: Path) -> Path:
    """Write a package with one algorithm into a folder of its name; returns that folder.

    Args:
        name: of the algorithm and the package: lower-case words and digits with hyphens.
        into: the folder in which the new one is made.

    Raises:
        UserError: for another kind of name, one that is taken, or a folder that exists.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sorted(path.name for path in write_package("my-optimizer", Path(folder)).iterdir())
    ['README.md', 'my_optimizer.py', 'pyproject.toml', 'tests']
    """
    module = name.replace("-", "_")
    kind = "".join(word.capitalize() for word in name.split("-"))
    _refuse(name, module, kind)
    folder = into / name
    if folder.exists():
        raise UserError(f"{folder} exists; choose another name, or another folder with --into")
    source = resources.files("harness.plugins").joinpath("template.py").read_text(encoding="utf-8")
    files = {
        "pyproject.toml": _PYPROJECT,
        "README.md": _README,
        f"{module}.py": source.replace("Template", kind),
        f"tests/test_{module}.py": _TEST,
    }
    try:
        for path, text in files.items():
            for placeholder, value in {"{name}": name, "{module}": module, "{kind}": kind}.items():
                text = text.replace(placeholder, value)
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written: {error.strerror}; choose another with --into"
        ) from error
    return folder


def _refuse(name: str, module: str, kind: str) -> None:
    if not _NAME.fullmatch(name):
        raise UserError(f"{shown(name)} is no name for a package; write lower-case words as in my-optimizer")
    if name in ALGORITHMS.names():
        party = ALGORITHMS.provider(name)
        raise UserError(f"algorithm {name!r} is already registered by {party}; choose another name")
    from harness.plugins import template  # late: it brings torch

    if hasattr(template, kind):
        raise UserError(f"{name!r}: the algorithm itself uses something called {kind}; choose another name")
    if keyword.iskeyword(module) or importlib.util.find_spec(module) is not None:
        raise UserError(f"{name!r}: Python knows {module!r} as something else; choose another name")
