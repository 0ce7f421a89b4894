"""From names to objects: tasks and algorithms, built out of plugins.

What a plugin is called with: a data set or a model is a factory of typed keyword options (also of
``device``, ``dtype``, ``smoke`` and ``planning``, where it takes them) that returns an opaque object; an
objective is passed on as it is; a tuning is a class of typed options with ``task(data, model, objective,
protocol, name) -> Task``; a registered task is a class of typed options that is itself a Task. Algorithms
and tasks may also be plain functions (``harness.plugins.functions``).
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from harness.core.errors import UserError
from harness.plugins.definitions import FILES, TRANSFORMERS, Definitions, fingerprint
from harness.plugins.messages import did_you_mean, nearest, one_line, short, shown
from harness.plugins.options import describe_options, typed_options
from harness.plugins.registry import ALGORITHMS, DATASETS, MODELS, OBJECTIVES, TASKS, TUNINGS
from harness.plugins.spec import Spec, TaskSpec, parse_task

if TYPE_CHECKING:
    from harness.core.algorithm import Algorithm
    from harness.core.algorithm_spec import AlgorithmSpec
    from harness.core.budget import Budget
    from harness.core.space import Space
    from harness.core.task import Protocol, Task

DEFAULT_OBJECTIVE = "cross-entropy"
_PLACED = ("device", "dtype", "smoke", "planning")
"""Options that the builder hands on by itself to every factory that takes them and is not told another."""


class Builder:
    """Builds tasks, each of its data sets and models once: tasks of one model share one object.

    Args:
        definitions: a user's own data sets and models.
        protocol: how data are split and measured; None for the defaults.
        device: given to models that take one and are not told another.
        dtype: likewise.
        smoke: given to data sets and models: small samples and tiny models in place of the real ones.
        planning: given to data sets and models: nothing is run, so weights and rows need not be had.
        protocols: of tasks that have another, by canonical name.

    >>> Builder().task("spere[dimension=2]")
    Traceback (most recent call last):
        ...
    harness.core.errors.UserError: spere[dimension=2]: unknown task 'spere': did you mean 'sphere'?
    """

    def __init__(
        self,
        definitions: Definitions | None = None,
        protocol: Protocol | None = None,
        device: str = "cpu",
        dtype: str = "float32",
        *,
        smoke: bool = False,
        planning: bool = False,
        protocols: Mapping[str, Protocol] | None = None,
    ) -> None:
        if protocol is None:
            from harness.core.task import Protocol  # late: it brings torch

            protocol = Protocol()
        self.definitions = definitions or Definitions()
        self.protocol = protocol
        self.device = device
        self.dtype = dtype
        self.smoke = smoke
        self.planning = planning
        self.protocols = dict(protocols or {})
        self._made: dict[str, Any] = {}

    def task(self, name: str | TaskSpec | Spec) -> Task:
        """The task of that name; the same object for the same name.

        Raises:
            UserError: naming the task, the part of it that cannot be had, and the remedy.
        """
        spec = parse_task(name) if isinstance(name, str) else name
        with naming(str(spec)):
            return cast("Task", self._once(["task", str(spec)], lambda: self._task(spec)))

    def data(self, spec: Spec) -> Any:
        """The data set of that name, as its factory returned it."""
        factory, options = self._dataset(spec)
        return self._once(["data", spec.name, fingerprint(options)], lambda: factory(**options))

    def model(self, spec: Spec) -> Any:
        """The model of that name, as its factory returned it."""
        factory, options = self._model(spec)
        return self._once(["model", spec.name, fingerprint(options)], lambda: factory(**options))

    def content(self, name: str | TaskSpec | Spec) -> Any:
        """What a content hash of the task holds beside its name: options and bytes of its data and model."""
        spec = parse_task(name) if isinstance(name, str) else name
        if isinstance(spec, Spec):
            return None
        with naming(str(spec)):
            parts = self._dataset(spec.dataset)[1], self._model(spec.model)[1]
        return [fingerprint({key: part[key] for key in part if _matters(key, part[key])}) for part in parts]

    def takes(self, spec: Spec, kind: Literal["dataset", "model"], option: str) -> bool:
        """Whether the factory of a data set or model has an option of that name.

        >>> Builder().takes(Spec("reference"), "model", "device")
        True
        """
        factory = self._dataset_factory(spec) if kind == "dataset" else self._model_factory(spec)[0]
        return option in _option_names(factory)

    def _task(self, spec: TaskSpec | Spec) -> Task:
        if isinstance(spec, Spec):
            if spec.name not in TASKS.names() and spec.name in {
                *DATASETS.names(),
                *self.definitions.datasets,
            }:
                raise UserError(f"{spec.name!r} is a data set; write dataset/model/tuning")
            kind = TASKS.load(spec.name)
            return cast("Task", kind(**typed_options(kind, dict(spec.options), spec.name)))
        tuning = TUNINGS.load(spec.tuning.name)
        options = typed_options(tuning, dict(spec.tuning.options), spec.tuning.name)
        objective = OBJECTIVES.load(spec.objective or DEFAULT_OBJECTIVE)
        protocol = own_protocol(spec, self.protocols.get(str(spec), self.protocol))
        data, model = self.data(spec.dataset), self.model(spec.model)
        if spec.per_class is not None and getattr(data, "per_class", None) is not None:
            raise UserError("per_class: the data set brings splits of its own; leave it out")
        return cast("Task", tuning(**options).task(data, model, objective, protocol, str(spec)))

    def _dataset(self, spec: Spec) -> tuple[Callable[..., Any], dict[str, Any]]:
        factory, place = self._dataset_factory(spec), spec.name
        own: dict[str, Any] = {}
        if spec.name in self.definitions.datasets:
            place = f"datasets.{spec.name}"
            own = {"name": spec.name} if "name" in _option_names(factory) else {}
            own |= self.definitions.dataset(spec.name)
        options = {**self._placed(factory), **own, **dict(spec.options)}
        return factory, self._typed(factory, options, place)

    def _dataset_factory(self, spec: Spec) -> Callable[..., Any]:
        if spec.name in self.definitions.datasets:
            return cast("Callable[..., Any]", DATASETS.load(FILES))
        if spec.name not in DATASETS.names():
            raise DATASETS.unknown(spec.name, also=self.definitions.datasets)
        return cast("Callable[..., Any]", DATASETS.load(spec.name))

    def _model(self, spec: Spec) -> tuple[Callable[..., Any], dict[str, Any]]:
        factory, place = self._model_factory(spec)
        own: dict[str, Any] = {}
        if spec.name in self.definitions.models:
            own = self.definitions.model(spec.name)
        elif spec.name not in MODELS.names():
            own = {"path": self._found_model(spec.name)}
        options = {**self._placed(factory), **own, **dict(spec.options)}
        return factory, self._typed(factory, options, place)

    def _model_factory(self, spec: Spec) -> tuple[Callable[..., Any], str]:
        """The factory of a model, and what messages call its options' place."""
        if spec.name in self.definitions.models:
            return MODELS.load(TRANSFORMERS), f"models.{spec.name}"
        return MODELS.load(spec.name if spec.name in MODELS.names() else TRANSFORMERS), spec.name

    def _placed(self, factory: Callable[..., Any]) -> dict[str, Any]:
        return {key: getattr(self, key) for key in _PLACED if key in _option_names(factory)}

    def _found_model(self, name: str) -> str:
        """A folder or a name on the hub; a near miss of a known model is taken for a misspelling."""
        path = self.definitions.locate(name)
        near = nearest(name, [*MODELS.names(), *self.definitions.models], likeness=0.75)
        if path == name and "/" not in name and near:
            raise UserError(
                f"unknown model {shown(name)}: {did_you_mean(name, near)} "
                f"(if it is a name on the hub, write {TRANSFORMERS}[path={name}])"
            )
        return path

    def _typed(self, factory: Callable[..., Any], options: Mapping[str, Any], place: str) -> dict[str, Any]:
        """Typed options; those that are paths start from the folder of the definitions."""
        typed = typed_options(factory, options, place)
        folder = self.definitions.folder.absolute()
        return {key: folder / value if isinstance(value, Path) else value for key, value in typed.items()}

    def _once(self, key: list[Any], make: Callable[[], Any]) -> Any:
        text = json.dumps(key, sort_keys=True, default=str)
        if text not in self._made:
            self._made[text] = make()
        return self._made[text]


def own_protocol(spec: TaskSpec, protocol: Protocol) -> Protocol:
    """The protocol with what the name of a task says otherwise.

    Raises:
        UserError: for a number of rows per class that is none, or that other sizes leave no room for.

    >>> from harness.core.task import Protocol
    >>> own_protocol(TaskSpec.parse("sst2/roberta-large/prompt[per_class=4]"), Protocol()).per_class
    4
    """
    if spec.per_class is None:
        return protocol
    if not re.fullmatch("[1-9][0-9]*", spec.per_class):
        raise UserError(f"per_class: must be a whole number from 1 on, got {spec.per_class!r}")
    if "per_class" in dict(spec.dataset.options):
        raise UserError("per_class: is given for the data set and for the tuning; keep one of them")
    if (protocol.train_rows, protocol.dev_rows) != (None, None):
        raise UserError(
            "per_class: means nothing beside train_rows and dev_rows, which hold whatever the class; "
            "leave out one or the other"
        )
    return dataclasses.replace(protocol, per_class=int(spec.per_class))


def algorithm_class(name: str | Spec) -> tuple[type[Algorithm], dict[str, Any]]:
    """The class of an algorithm and its typed options.

    Raises:
        UserError: for a name or an option that is unknown, or an option's wrong value.
    """
    from harness.core.algorithm import Algorithm
    from harness.core.algorithm_spec import AlgorithmSpec

    spec = Spec.parse(name) if isinstance(name, str) else name
    kind = ALGORITHMS.load(spec.name)
    if not (isinstance(kind, type) and issubclass(kind, Algorithm)):
        raise UserError(
            f"algorithm {spec.name!r} of {ALGORITHMS.provider(spec.name)} is no subclass of "
            f"harness.Algorithm; derive it from that class, or write a function minimise(evaluate, space, "
            f"budget, seed)"
        )
    options = typed_options(kind, dict(spec.options), spec.name, {AlgorithmSpec: algorithm_spec})
    with naming(spec.name):
        try:
            return kind.configured(**options), options
        except SystemExit as error:
            raise UserError(f"its plugin asked the whole process to end ({error}); leave it out") from error


def algorithm_spec(text: str) -> AlgorithmSpec:
    """An algorithm as an option of another; raises UserError as ``algorithm_class``."""
    from harness.core.algorithm_spec import AlgorithmSpec

    spec = Spec.parse(text)
    return AlgorithmSpec(str(spec), *algorithm_class(spec))


def build_algorithm(name: str | Spec, space: Space, budget: Budget, seed: int) -> Algorithm:
    """An algorithm ready to be asked.

    Raises:
        UserError: as ``algorithm_class``, and where its options do not go together.
    """
    kind, options = algorithm_class(name)
    with naming(str(name), ValueError):
        return kind(space, budget, seed, **options)


def _matters(option: str, value: Any) -> bool:
    """Whether an option changes what a data set or model is, and not only where it lies or how it is had."""
    return option not in _PLACED or (option == "smoke" and bool(value))


def _option_names(factory: Callable[..., Any]) -> set[str]:
    return {option.name for option in describe_options(factory)}


@contextmanager
def naming(place: str, caught: type[Exception] = Exception) -> Iterator[None]:
    """Turns what goes wrong inside into one UserError that begins with the place.

    >>> with naming("sphere"):
    ...     raise ValueError("dimension must be positive")
    Traceback (most recent call last):
        ...
    harness.core.errors.UserError: sphere: dimension must be positive
    """
    place = short(place)
    try:
        yield
    except UserError as error:
        said = str(error)
        raise UserError(said if said.startswith(f"{place}: ") else f"{place}: {said}") from error.__cause__
    except caught as error:
        lines = str(error).strip().splitlines()
        plain = isinstance(error, ValueError) and lines
        raise UserError(f"{place}: {lines[0] if plain else one_line(error)}") from error
