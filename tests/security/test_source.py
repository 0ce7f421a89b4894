"""Nothing in the source reads what can run code: each exception is listed here, with why it may stay."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("harness", "tasks", "algorithms", "scripts")

MODULES = {
    *("pickle", "_pickle", "cPickle", "pickletools", "marshal", "shelve", "dill", "joblib", "cloudpickle"),
    *("jsonpickle", "pty", "imp", "commands", "xmlrpc", "telnetlib", "ftplib", "code", "codeop"),
}
"""Modules that are not imported: they load objects that may be anything, or run what they are given."""

NAMES = {"eval", "exec", "compile", "__import__", "breakpoint"}
"""Built-in functions that are not called."""

CALLS = {
    *("yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load", "yaml.full_load_all"),
    *("torch.load", "torch.hub.load", "torch.jit.load", "torch.package.PackageImporter"),
    *("torch.ops.load_library", "torch.classes.load_library"),
    *("np.load", "numpy.load", "np.fromregex", "pd.read_pickle", "pandas.read_pickle", "pd.read_hdf"),
    *("pd.eval", "pandas.eval", "pa.deserialize", "pyarrow.deserialize"),
    *("os.system", "os.popen", "os.execv", "os.execvp", "os.spawnl", "os.startfile"),
    *("tempfile.mktemp", "os.tempnam", "os.tmpnam"),
    *("importlib.import_module", "runpy.run_path", "runpy.run_module"),
    *("importlib.util.spec_from_file_location", "importlib.util.module_from_spec"),
    *("tarfile.open", "zipfile.ZipFile", "shutil.unpack_archive"),
    *("jinja2.Template", "string.Template", "ctypes.CDLL", "ctypes.cdll.LoadLibrary"),
}
"""Functions that are not called."""

KEYWORDS = {
    "shell": (True,),
    "allow_pickle": (True,),
    "weights_only": (False,),
    "trust_remote_code": (True,),
    "use_safetensors": (False,),
    "autoescape": (False,),
}
"""Arguments that are not given these values; one that is no constant counts as well."""

ALLOWED = {
    ("harness/__init__.py", "importlib.import_module"): "names of its own public API, from a table there",
    (
        "harness/core/__init__.py",
        "importlib.import_module",
    ): "names of its own public API, from a table there",
    ("harness/running/energy.py", "ctypes.CDLL"): "the driver's management library, by its one name",
    ("harness/running/executors/worker.py", "ctypes.CDLL"): "the process itself, for prctl",
    ("tasks/allocator.py", "ctypes.CDLL"): "the process itself, for mallopt",
    ("scripts/faults/children.py", "importlib.import_module"): "what a child of its own has imported already",
    ("scripts/measure_memory.py", "ctypes.CDLL"): "the process itself, for malloc_trim",
    ("scripts/throughput/memory.py", "ctypes.CDLL"): "the process itself, for malloc_trim",
    (
        "harness/running/sweep_file.py",
        "yaml.load",
    ): "with a loader of its own: texts, lists and mappings only",
    ("harness/plugins/conformance/repetition.py", "torch.load"): (
        "weights_only, of bytes that torch.save made in the line before"
    ),
    ("scripts/throughput/contestants.py", "importlib.import_module"): "peft, where it is installed",
}
"""What stands there nevertheless, by file and finding."""


def findings(path: str, source: str) -> Iterator[str]:
    """What a file imports or calls of the lists above."""
    tree = ast.parse(source, path)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name for name in (each.name.split(".")[0] for each in node.names) if name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            if node.module.split(".")[0] in MODULES:
                yield node.module
            # `from torch import load` is the same as torch.load
            yield from (name for each in node.names if (name := f"{node.module}.{each.name}") in CALLS)
        elif isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and node.func.id in NAMES:
                yield node.func.id
            if isinstance(node.func, ast.Attribute) and (name := ast.unparse(node.func)) in CALLS:
                yield name
            for each in node.keywords:
                forbidden = KEYWORDS.get(each.arg or "", ())
                if forbidden and not (
                    isinstance(each.value, ast.Constant) and each.value.value not in forbidden
                ):
                    yield f"{each.arg}={ast.unparse(each.value)}"


def found() -> set[tuple[str, str]]:
    """All findings of the packages and scripts."""
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py")]
    assert len(files) > 150
    return {
        (name, each)
        for file in files
        for name in [file.relative_to(ROOT).as_posix()]
        for each in findings(name, file.read_text(encoding="utf-8"))
    }


def test_the_source_reads_nothing_that_can_run_code() -> None:
    assert found() - set(ALLOWED) == set()


def test_no_exception_outlives_its_reason() -> None:
    assert set(ALLOWED) - found() == set()


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from joblib import load",
        "import marshal as m",
        "eval('1')",
        "exec('x = 1')",
        "import torch\ntorch.load(file)",
        "from torch import load",
        "np.load(file, allow_pickle=True)",
        "np.load(file, allow_pickle=flag)",
        "subprocess.run(text, shell=True)",
        "os.system(text)",
        "tempfile.mktemp()",
        "AutoModel.from_pretrained(path, trust_remote_code=asked)",
        "yaml.load(text, Loader=yaml.SafeLoader)",
        "importlib.import_module(name)",
    ],
)
def test_the_scan_sees_what_it_should(line: str) -> None:
    assert list(findings("x.py", line))


def test_the_scan_leaves_harmless_lines_alone() -> None:
    harmless = "import re\nre.compile(x)\nmodel.eval()\nyaml.safe_load(x)\nrun(x, shell=False)\n"
    assert not list(findings("x.py", harmless + "f(trust_remote_code=False, use_safetensors=True)\n"))


def test_every_from_pretrained_of_a_stranger_s_model_refuses_code() -> None:
    # Scripts load the reference model and models that they have made themselves.
    for package in ("harness", "tasks", "algorithms"):
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Call):
                    name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
                    if name in ("from_pretrained", "from_config"):
                        given = {each.arg: each.value for each in node.keywords}
                        assert ast.unparse(given["trust_remote_code"]) == "False", file
