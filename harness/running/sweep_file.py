"""What is to be run, as a sweep file or the flags of the command line say it."""

from __future__ import annotations

import importlib.resources
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from pydantic import BaseModel, Field, PrivateAttr, ValidationError

from harness.core.errors import UserError
from harness.plugins.definitions import FILE_KEYS, Definitions, expanded
from harness.plugins.messages import complaint, did_you_mean, short, shown
from harness.running.smoke import cut
from harness.running.sweep_keys import (
    STRICT,
    DatasetKeys,
    Evaluations,
    ExceptionKeys,
    ModelKeys,
    Names,
    OriginKeys,
    ProtocolKeys,
    PublishedKeys,
    Repetitions,
    Text,
    TuningKeys,
)

if TYPE_CHECKING:
    from harness.core.task import Protocol


LARGEST = 2**20
"""Bytes of a sweep file."""
MOST = 100_000
"""Values that a sweep file may hold; what aliases repeat counts each time."""


class Sweep(BaseModel):
    """Tasks times algorithms times repetitions, and how they are measured. Unchangeable.

    Relative paths start from ``folder``: the sweep file's, or the current one for flags. With ``smoke`` it is
    cut down to one repetition of few rows and evaluations, with tiny models and small samples of the data in
    place of the real ones (``harness.running.smoke``).

    >>> sweep = Sweep.from_flags(tasks="sphere[dimension=2]", algorithms="random,spsa", budget=50)
    >>> sweep.algorithms, sweep.repetitions, sweep.budget
    (('random', 'spsa'), 3, 50)
    >>> sweep.override(budget=-5)
    Traceback (most recent call last):
        ...
    harness.core.errors.UserError: --budget: must be at least 1, got -5
    """

    model_config = STRICT

    tasks: Names
    algorithms: Names
    repetitions: Repetitions = 3
    budget: Evaluations = 200
    objective: Text = "cross-entropy"
    protocol: ProtocolKeys = ProtocolKeys()
    datasets: dict[str, DatasetKeys] = {}
    models: dict[str, ModelKeys] = {}
    tuning: TuningKeys | None = None
    exceptions: tuple[ExceptionKeys, ...] = ()
    published: tuple[PublishedKeys, ...] = ()
    smoke: bool = False
    out: Text | None = None
    relative_to: Text | None = None
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")] = "auto"
    dtype: Literal["float32", "float64", "bfloat16"] = "float32"

    _folder: Path = PrivateAttr(default_factory=Path.cwd)
    _file: str | None = PrivateAttr(None)
    _flags: frozenset[str] = PrivateAttr(frozenset())

    @property
    def folder(self) -> Path:
        """Where relative paths start from; absolute."""
        return self._folder

    @property
    def output(self) -> Path:
        """Where results go that are not told where: ``out``, or ``results/`` and the name of the sweep file.

        A file's ``out`` starts from the file's folder, a flag's from the current one; ``results`` always
        lies in the current one.

        >>> Sweep.load("quick").output.as_posix()
        'results/quick'
        """
        if self.out is None:
            return Path("results") / (Path(self._file).stem if self._file else "sweep")
        return (Path.cwd() if "out" in self._flags else self._folder) / expanded(self.out)

    @classmethod
    def load(cls, source: str | Path) -> Sweep:
        """Read a sweep file, or a shipped suite by its name.

        Raises:
            UserError: one line that names the file, the key and the remedy.

        >>> Sweep.load("quick").budget
        200
        """
        if str(source) in suites():
            text = (importlib.resources.files("harness.suites") / f"{source}.yaml").read_text("utf-8")
            return cls._made(_parsed(text, str(source)), Path.cwd(), str(source))
        path = expanded(str(source))
        if not os.path.isfile(path):  # unlike Path's, False for any text that can be no path
            known = did_you_mean(str(source), suites())
            raise UserError(f"{short(source)}: no such sweep file, and no shipped suite: {known}")
        try:
            if path.stat().st_size > LARGEST:
                raise UserError(f"{source}: is no sweep file: larger than {LARGEST:,} bytes; name another")
            text = path.read_text("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{source}: cannot be read: {error}; a sweep file is YAML in UTF-8") from error
        sweep = cls._made(_parsed(text, str(source)), path.absolute().parent, str(source))
        if sweep.relative_to is not None:
            with sweep.naming("relative_to"):
                folder = sweep._folder / expanded(sweep.relative_to)
            if not os.path.isdir(folder):
                raise UserError(f"{source}: relative_to: there is no folder {str(folder)!r}; name another")
            sweep._folder = folder
        return sweep

    @classmethod
    def from_flags(cls, **flags: Any) -> Sweep:
        """A sweep without a file; flags are the keys of a sweep file, and None means not given."""
        given = {key: value for key, value in flags.items() if value is not None}
        return cls._made(given, Path.cwd(), None, frozenset(given))

    def override(self, **flags: Any) -> Sweep:
        """The same sweep with some keys replaced, as by flags; mappings are merged; None means not given."""
        given = {key: value for key, value in flags.items() if value is not None}
        values = self.model_dump(exclude_unset=True)
        for key, value in given.items():
            merged = isinstance(value, Mapping) and isinstance(values.get(key), dict)
            values[key] = {**values[key], **value} if merged else value
        return self._made(values, self._folder, self._file, self._flags | frozenset(given))

    def flagged(self, key: str) -> bool:
        """Whether a key was given by a flag or a call, not by the file."""
        return self._file is None or key in self._flags

    def where(self, key: str) -> str:
        """The place of a key as messages name it: ``sweep.yaml: budget`` or ``--budget``."""
        if self._file is None or key.split(".")[0] in self._flags:
            return _flag(key)
        return f"{self._file}: {key}"

    @contextmanager
    def naming(self, key: str) -> Iterator[None]:
        """Puts the place of a key before the message of a UserError raised inside."""
        try:
            yield
        except UserError as error:
            raise UserError(f"{self.where(key)}: {error}") from error.__cause__

    @property
    def definitions(self) -> Definitions:
        """The user's own data sets and models, for a ``Builder``."""
        return Definitions(
            {name: keys.model_dump(exclude_none=True) for name, keys in self.datasets.items()},
            {name: keys.model_dump(exclude_none=True) for name, keys in self.models.items()},
            self._folder,
        )

    def measured_by(self) -> Protocol:
        """The protocol in the vocabulary's own class."""
        from harness.core.task import Protocol

        return Protocol(**self.protocol.model_dump())

    def to_yaml(self) -> str:
        """A sweep file that runs from anywhere: ``out`` and paths of data sets and models are absolute.

        Where names have paths in their brackets, which belong to the names, it says what they start from.
        """
        data = self.to_dict()
        del data["origin"]
        if self.relative_to is not None or any("path=" in name for name in (*self.tasks, *self.algorithms)):
            data["relative_to"] = str(self._folder)
        if self.out is not None:
            data["out"] = str(self.output)
        for keys in data.get("datasets", {}).values():
            keys.update({key: str(self._folder / keys[key]) for key in FILE_KEYS if key in keys})
        for keys in data.get("models", {}).values():
            folder = self._folder / keys["path"]
            keys["path"] = str(folder) if folder.is_dir() else keys["path"]
        return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)

    def to_dict(self) -> dict[str, Any]:
        """Plain data of all keys and of where they came from, for JSON."""
        origin = {"folder": str(self._folder), "file": self._file, "flags": sorted(self._flags)}
        return {**self.model_dump(mode="json", exclude_none=True), "origin": origin}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Sweep:
        """The sweep that ``to_dict`` made; raises UserError for anything else."""
        if not isinstance(data, Mapping):
            raise UserError(f"a sweep must be a mapping of keys to values, got {shown(data)}")
        keys = {key: value for key, value in data.items() if key != "origin"}
        try:
            origin = OriginKeys.model_validate(data.get("origin", {}))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            parts = ["origin", *(str(part) for part in first["loc"])]
            raise UserError(f"{'.'.join(parts)}: {complaint(first)}") from None
        folder = Path.cwd() if origin.folder is None else Path(origin.folder)
        return cls._made(keys, folder, origin.file, frozenset(origin.flags))

    @classmethod
    def _made(
        cls, keys: Mapping[str, Any], folder: Path, file: str | None, flags: frozenset[str] = frozenset()
    ) -> Sweep:
        try:
            sweep = cls.model_validate(dict(keys))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            key = _key(first, keys)
            flagged = file is None or key.split(".")[0] in flags
            place = _flag(key) if flagged else f"{file}: {key}"
            raise UserError(f"{place}: {_said(first)}") from None
        if sweep.smoke:
            sweep = sweep.model_copy(update=cut(sweep))
        sweep._folder, sweep._file, sweep._flags = folder, file, flags
        return sweep


def suites() -> list[str]:
    """Names of the shipped suites.

    >>> "quick" in suites()
    True
    """
    files = importlib.resources.files("harness.suites").iterdir()
    return sorted(each.name.removesuffix(".yaml") for each in files if each.name.endswith(".yaml"))


def _flag(key: str) -> str:
    return "--" + key.replace("_", "-")


def _key(error: Any, given: Any) -> str:
    """The place of an error as keys with points between; what it says of the types of a union is left out."""
    parts: list[str] = []
    for part in error["loc"]:
        if isinstance(part, int):
            given = given[part] if isinstance(given, list | tuple) and part < len(given) else None
            continue
        missing = error["type"] == "missing" and part == error["loc"][-1]
        own = {str(name): value for name, value in given.items()} if isinstance(given, Mapping) else {}
        if part not in own and not missing:
            break
        parts.append(short(part))
        given = own.get(part)
    return ".".join(parts)


def _said(error: Any) -> str:
    """What is wrong with a key, and what would be right."""
    if error["type"] == "extra_forbidden":
        return f"unknown key: {did_you_mean(str(error['loc'][-1]), _keys(error['loc']))}"
    if error["type"] == "missing":
        return f"is missing; add the key {error['loc'][-1]!r}"
    if error["type"] == "string_pattern_mismatch":
        return f"must be auto, cpu, cuda or cuda:N, got {error['input']!r}"
    return complaint(error)


def _keys(place: tuple[str | int, ...]) -> list[str]:
    """The right keys beside a wrong one."""
    inner: dict[str | int, type[BaseModel]] = {
        "protocol": ProtocolKeys,
        "datasets": DatasetKeys,
        "tuning": TuningKeys,
        "exceptions": ExceptionKeys,
        "published": PublishedKeys,
    }
    kind = inner.get(place[0], Sweep) if len(place) > 1 else Sweep
    return list(kind.model_fields)


class _Loader(yaml.BaseLoader):
    """Plain text, lists, mappings and null: ``no`` stays a word, and a key given twice is an error."""

    def construct_document(self, node: yaml.Node) -> Any:
        """What a document holds, where that is not too much."""
        _count(node, {})
        return super().construct_document(node)

    def construct_scalar(self, node: yaml.ScalarNode) -> Any:
        """The text as written, or None."""
        return None if node.style is None and node.value in ("", "~", "null") else node.value

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping of distinct keys."""
        mapping = super().construct_mapping(node, deep)
        if None in mapping:
            raise yaml.constructor.ConstructorError(
                None, None, "a key is empty; write its name before the colon", node.start_mark
            )
        if len(mapping) < len(node.value):
            raise yaml.constructor.ConstructorError(None, None, "a key is given twice", node.start_mark)
        return mapping


def _count(node: yaml.Node, known: dict[int, int]) -> int:
    """The values of a node with all that aliases repeat, of which a few lines can make billions."""
    if id(node) in known:
        if not known[id(node)]:
            raise yaml.constructor.ConstructorError(
                None, None, "an alias stands inside of what it names; write it out", node.start_mark
            )
        return known[id(node)]
    known[id(node)] = 0
    inner: list[Any] = node.value if isinstance(node, yaml.CollectionNode) else []
    parts = [each for pair in inner for each in (pair if isinstance(pair, tuple) else (pair,))]
    total = 1 + sum(_count(part, known) for part in parts)
    if total > MOST:
        raise yaml.constructor.ConstructorError(
            None, None, f"more than {MOST:,} values; write less, and fewer aliases", node.start_mark
        )
    known[id(node)] = total
    return total


def _parsed(text: str, file: str) -> dict[str, Any]:
    try:
        data = yaml.load(text, _Loader)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        if isinstance(error, RecursionError):
            problem = "lists and mappings stand too deep in one another"
        hint = '; inside [...] a name with brackets is quoted: ["openai-es[population=32]"]'
        raise UserError(
            f"{file}: no YAML{line}: {problem}{hint if 'but got' in problem else '; mend it'}"
        ) from None
    if not isinstance(data, dict):
        raise UserError(f"{file}: holds no keys; write at least tasks: [...] and algorithms: [...]")
    return data
