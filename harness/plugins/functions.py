"""Plain functions as plugins: ``minimise(evaluate, space, budget, seed)`` and ``loss(point)``.

A function is registered under its entry point as a class would be. What a class says as class data, a
function says as attributes of the same names: ``minimise.family = "simplex"``.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import queue
import threading
import types
import weakref
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeAlias

import numpy as np
import torch
from torch import Tensor

from harness.core.algorithm import Algorithm
from harness.core.budget import Budget
from harness.core.errors import UserError
from harness.core.population import Points, Population
from harness.core.space import Block, Space
from harness.core.task import Cost, Evaluation, Request, Signature, Split, Task
from harness.core.untuned import Candidate, point

_CLASS_DATA = (
    "family",
    "source",
    "reference",
    "largest_dimension",
    "smallest_budget",
    "deterministic",
    "expected_failures",
)


class BudgetSpent(BaseException):
    """Raised by ``evaluate`` when nothing more will be evaluated; to be caught only to return the best point.

    It is no Exception, so that ``except Exception`` lets it pass.
    """


@functools.cache
def as_algorithm(function: Callable[..., Any]) -> type[Algorithm]:
    """The Algorithm class of a function ``minimise(evaluate, space, budget, seed, *, options)``.

    ``evaluate`` takes points ``[n, d]`` in the space's coordinates (a floating tensor or a numpy array) and
    returns their losses, float64 ``[n]`` of the same kind, nan where an evaluation failed. ``budget`` is
    the number of evaluations; when they are spent ``evaluate`` raises BudgetSpent, and of points that are
    more than what remains only the first are evaluated. The function returns its best point ``[d]``, or
    None for the best of those evaluated. It runs in a thread of its own, but never at the same time as its
    caller, and must draw from ``seed`` only: the global random state is everybody's.

    Raises:
        UserError: if its parameters are others.

    >>> def minimise(evaluate, space, budget, seed, *, sigma: float = 1.0):
    ...     '''Random search.'''
    ...     generator = torch.Generator().manual_seed(seed)
    ...     evaluate(sigma * torch.randn(budget, space.size, generator=generator))
    >>> search = as_algorithm(minimise)(Space([Block("x", (2,), "vector")]), Budget(3), seed=0)
    >>> asked = search.ask(remaining=3)
    >>> search.tell(asked, torch.tensor([3.0, 1.0, 2.0], dtype=torch.float64))
    >>> bool(torch.equal(search.best().values[0], asked.values[1]))
    True
    """
    parameters = inspect.signature(function).parameters.values()
    if len(positional(function)) != 4 or any(each.kind is each.VAR_KEYWORD for each in parameters):
        raise UserError(
            f"{function.__qualname__}{inspect.signature(function)} is no algorithm; write it as "
            f"minimise(evaluate, space, budget, seed), with options keyword-only behind them"
        )

    def constructor(self: FunctionAlgorithm, space: Space, budget: Budget, seed: int, **options: Any) -> None:
        FunctionAlgorithm.__init__(self, space, budget, seed, **options)

    _show(constructor, function, ["self", "space", "budget", "seed"])
    given = {name: getattr(function, name) for name in _CLASS_DATA if hasattr(function, name)}
    made: type[Algorithm] = _class_of(function, FunctionAlgorithm, {"__init__": constructor, **given})
    return made


@functools.cache
def as_task(function: Callable[..., Any]) -> type[Task]:
    """The Task class of a function ``loss(point, *, dimension: int = 10, options) -> float``.

    The function is called with one point at a time, float64 ``[d]``, zero at the start, so that a loss
    depends on nothing but its point. A second parameter by position is a torch.Generator, the minibatch: in
    the same state for all candidates of one repetition and generation, in another for the next. The metric
    is the loss itself, with a generator of its own for each of train, dev and test. A point that is not
    finite has the loss nan.

    Raises:
        UserError: if its parameters are others, or ``dimension`` is not among its options.

    >>> def bowl(point, generator, *, dimension: int = 3, noise: float = 0.1):
    ...     '''A sphere under noise.'''
    ...     return (point - 1).square().sum() + noise * torch.randn((), generator=generator)
    >>> task = as_task(bowl)(noise=0.0)
    >>> task.evaluate([Request(Points(torch.zeros(2, 3)), repetition=0, generation=0)])[0].losses
    tensor([3., 3.], dtype=torch.float64)
    """
    parameters = inspect.signature(function).parameters.values()
    known = {each.name: each.default for each in parameters if each.kind is each.KEYWORD_ONLY}
    if not 1 <= len(positional(function)) <= 2 or not isinstance(known.get("dimension"), int):
        raise UserError(
            f"{function.__qualname__}{inspect.signature(function)} is no task; write it as "
            f"loss(point, *, dimension: int = 10), with other options keyword-only behind it"
        )

    def constructor(self: FunctionTask, **options: Any) -> None:
        FunctionTask.__init__(self, **{**known, **options})

    _show(constructor, function, ["self"])
    made: type[Task] = _class_of(function, FunctionTask, {"__init__": constructor})
    return made


def positional(function: Callable[..., Any]) -> list[str]:
    """Names of the parameters that may be given by position.

    >>> positional(lambda point, *, dimension=3: 0.0)
    ['point']
    """
    parameters = inspect.signature(function).parameters.values()
    named = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [each.name for each in parameters if each.kind in named]


def _show(constructor: Any, function: Callable[..., Any], names: Sequence[str]) -> None:
    """Give a constructor the function's options; annotations are read where the function was written."""
    options = [p for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]
    own = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in names]
    constructor.__signature__ = inspect.Signature([*own, *options])
    constructor.__wrapped__ = function


def _class_of(function: Callable[..., Any], base: type, body: dict[str, Any]) -> Any:
    body = {
        "__doc__": function.__doc__,
        "__module__": function.__module__,
        "function": staticmethod(function),
        **body,
    }
    return types.new_class(function.__name__, (base,), exec_body=lambda names: names.update(body))


class FunctionAlgorithm(Algorithm):
    """Runs a function in a thread that waits while nothing is asked, and ends when this object is dropped."""

    function: ClassVar[Callable[..., Any]]

    def __init__(self, space: Space, budget: Budget, seed: int, **options: Any) -> None:
        super().__init__(space, budget, seed)
        self._options = options
        self._exchange: _Exchange | None = None
        self._waiting: Tensor | None = None  # points whose losses the function waits for
        self._left = 0
        self._returned: Tensor | None = None
        self._found = torch.zeros(1, space.size, device=space.device)
        self._lowest = torch.inf

    def ask(self, remaining: int) -> Points | None:
        if self._exchange is None:
            if remaining < 1:
                return None
            self._exchange = _Exchange()
            # The thread knows the exchange only, so that this object can be dropped while it waits.
            weakref.finalize(self, self._exchange.stop)
            arguments = (self.function, self.space, remaining, self.seed, self._options, self._exchange)
            name = self.function.__name__
            threading.Thread(target=_run, args=arguments, name=name, daemon=True).start()
            self._take(self._exchange.events.get())
        if self._waiting is None or remaining < 1:
            return None
        self._left = remaining - len(self._waiting)
        return Points(self._waiting[:remaining].to(self.space.device))

    def tell(self, population: Population, losses: Tensor, gradients: Tensor | None = None) -> None:
        assert isinstance(population, Points)
        assert self._exchange is not None
        least = int(losses.nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=-torch.inf).argmin())
        if float(losses[least]) < self._lowest:
            self._lowest, self._found = float(losses[least]), population.values[least : least + 1].clone()
        if self._left >= 0:
            self._exchange.answer(losses)
            self._take(self._exchange.events.get())
        if self._left <= 0 and self._waiting is not None:  # with BudgetSpent it may still return its best
            self._exchange.stop()
            self._take(self._exchange.events.get())

    def best(self) -> Points:
        return Points(self._found if self._returned is None else self._returned)

    def _take(self, event: _Event) -> None:
        """What the function did next: it asks, it raised, or it returned."""
        self._waiting = event if isinstance(event, Tensor) else None
        if isinstance(event, Exception):
            raise event
        if isinstance(event, _Returned) and event.point is not None:
            point = torch.as_tensor(event.point, dtype=torch.float32).detach().reshape(-1).clone()
            if len(point) != self.space.size or not bool(point.isfinite().all()):
                raise ValueError(
                    f"{self.function.__name__} returned no finite point of {self.space.size} coordinates; "
                    f"return one, or None for the best of those evaluated"
                )
            self._returned = point[None].to(self.space.device)


class _Returned:
    def __init__(self, point: Any) -> None:
        self.point = point


_Event: TypeAlias = Tensor | Exception | _Returned


class _Exchange:
    """Hands points to the caller and losses to the function; at any moment one of both threads waits."""

    def __init__(self) -> None:
        self.events: queue.SimpleQueue[_Event] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Tensor | None] = queue.SimpleQueue()
        self._stopped = False

    def answer(self, losses: Tensor) -> None:
        """Let the function go on with losses."""
        self._answers.put(losses.clone())

    def stop(self) -> None:
        """Let the function go on with BudgetSpent."""
        self._answers.put(None)

    def evaluate(self, points: Any) -> Any:
        """What the function calls."""
        values = torch.as_tensor(points).detach().to("cpu", torch.float32, copy=True)
        if values.ndim != 2:
            raise ValueError(f"evaluate takes points [n, d], got shape {tuple(values.shape)}")
        if self._stopped:
            # Told at once: a function that catches everything would keep its caller waiting for ever.
            self.events.put(RuntimeError("evaluate was called again after BudgetSpent; return instead"))
            raise BudgetSpent
        losses: Tensor | None = torch.zeros(0, dtype=torch.float64)
        if len(values):
            self.events.put(values)
            losses = self._answers.get()
        if losses is None:
            self._stopped = True
            raise BudgetSpent
        return losses.numpy() if isinstance(points, np.ndarray) else losses


def _run(
    function: Callable[..., Any],
    space: Space,
    budget: int,
    seed: int,
    options: dict[str, Any],
    exchange: _Exchange,
) -> None:
    try:
        exchange.events.put(_Returned(function(exchange.evaluate, space, budget, seed, **options)))
    except BudgetSpent:
        exchange.events.put(_Returned(None))
    except Exception as error:
        exchange.events.put(error)
    except BaseException as error:  # SystemExit is to end the function, not the sweep
        exchange.events.put(RuntimeError(f"{function.__name__} raised {type(error).__name__}: {error}"))


class FunctionTask(Task):
    """Evaluates a function point by point."""

    function: ClassVar[Callable[..., Any]]
    metric = "loss"
    metric_direction = "min"

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.space = Space([Block("x", (options["dimension"],), "vector")])

    def evaluate(self, requests: Sequence[Request]) -> list[Evaluation]:
        return [self._evaluate(request) for request in requests]

    def score(self, candidates: Sequence[tuple[Candidate, int]], split: Split) -> list[dict[str, float]]:
        untouched = Points(torch.zeros(1, self.space.size))
        key = 1 + ("train", "dev", "test").index(split)
        return [
            {"loss": self._losses(point(candidate) or untouched, key, repetition)[0]}
            for candidate, repetition in candidates
        ]

    def signature(self) -> Signature:
        try:
            text = inspect.getsource(self.function)
        except OSError:  # typed into an interpreter
            text = f"{self.function.__module__}.{self.function.__qualname__}"
        digest = hashlib.sha256(f"{text} {sorted(self.options.items())}".encode()).hexdigest()
        fixed = Points(torch.tensor([[0.0], [1.0]]).expand(2, self.space.size))
        return Signature(digest, tuple(self._losses(fixed, 0, 0, 0)))

    def _evaluate(self, request: Request) -> Evaluation:
        losses = self._losses(request.population, 0, request.repetition, request.generation)
        return Evaluation(torch.tensor(losses, dtype=torch.float64), None, Cost(sequences=len(losses)))

    def _losses(self, population: Population, *key: int) -> list[float]:
        values = population.values if isinstance(population, Points) else population.coordinates()
        seed = int(np.random.SeedSequence(key).generate_state(1)[0])
        return [self._loss(value, seed) for value in values.detach().to("cpu", torch.float64, copy=True)]

    def _loss(self, point: Tensor, seed: int) -> float:
        if not bool(point.isfinite().all()):
            return float("nan")
        draws = len(positional(self.function)) == 2
        minibatch = (torch.Generator().manual_seed(seed),) if draws else ()
        return float(self.function(point, *minibatch, **self.options))
