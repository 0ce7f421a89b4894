"""Options of a plugin: the keyword-only parameters of its class or function, typed by their annotations."""

from __future__ import annotations

import collections.abc
import inspect
import sys
import types
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, NamedTuple, Union, cast, get_args, get_origin, get_type_hints

from pydantic import BeforeValidator, ConfigDict, PydanticUserError, TypeAdapter, ValidationError

from harness.core.errors import UserError
from harness.plugins.messages import complaint, did_you_mean, one_line, shown
from harness.plugins.spec import split_list

REQUIRED = inspect.Parameter.empty
"""The default of an option that has none."""

LARGEST = 2**63
"""No whole number of an option reaches it."""

_CONFIG = ConfigDict(coerce_numbers_to_str=True, arbitrary_types_allowed=True, allow_inf_nan=False)
_SEQUENCES = (list, tuple, set, frozenset, collections.abc.Sequence)


class Option(NamedTuple):
    """One option of a plugin: its name, its type as text, and its default (``REQUIRED`` where it has none).

    >>> Option("rank", "int", 8).default
    8
    """

    name: str
    type: str
    default: Any


def typed_options(
    factory: Callable[..., Any],
    options: Mapping[str, Any],
    what: str,
    read: Mapping[type, Callable[[str], Any]] = types.MappingProxyType({}),
) -> dict[str, Any]:
    """The given options with their types; defaults stay with the factory.

    Text is read by the annotation: "32" is 32 for an int, "true" is True, "none" is None where None is
    allowed, "a+b" and "[a,b]" are sequences. In a union that allows text, only "[a,b]" is.

    Args:
        factory: class or function whose keyword-only parameters are the options; a class that passes
            ``**options`` on to its base has the base's options too.
        options: names and values, text or typed.
        what: whose options they are, the beginning of every message.
        read: makes text into an object of a type that text alone does not give.

    Raises:
        UserError: for an unknown option, a missing one, a wrong type, or a value out of range.

    >>> from pydantic import Field
    >>> def tuning(*, rank: Annotated[int, Field(ge=1)] = 8, targets: tuple[str, ...] = ()): ...
    >>> typed_options(tuning, {"rank": "4", "targets": "q_proj+v_proj"}, "lora")
    {'rank': 4, 'targets': ('q_proj', 'v_proj')}
    >>> typed_options(tuning, {"rank": "0"}, "lora")
    Traceback (most recent call last):
        ...
    harness.core.errors.UserError: lora: rank: must be at least 1, got '0'
    """
    parameters = _parameters(factory)
    for name in options:
        if name not in parameters:
            raise UserError(f"{what}: unknown option {shown(name)}: {did_you_mean(str(name), parameters)}")
    for name, parameter in parameters.items():
        if parameter.default is REQUIRED and name not in options:
            raise UserError(f"{what}: option {name!r} is missing; give {name}=...")
    hints = _hints(parameters, what)
    return {name: _typed(hints[name], value, f"{what}: {name}", read) for name, value in options.items()}


def all_options(factory: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Every option with the value that holds: the one given, else its default.

    >>> def tuning(*, rank: int = 8, target: str | None = None): ...
    >>> all_options(tuning, {"rank": 4})
    {'rank': 4, 'target': None}
    """
    return {name: each.default for name, each in _parameters(factory).items()} | dict(options)


def describe_options(factory: Callable[..., Any]) -> list[Option]:
    """The options of a class or function, in the order of its signature.

    >>> def tuning(*, rank: int = 8, target: str | None = None): ...
    >>> [tuple(option) for option in describe_options(tuning)]
    [('rank', 'int', 8), ('target', 'str | None', None)]
    """
    parameters = _parameters(factory)
    hints = _hints(parameters, getattr(factory, "__name__", "plugin"))
    return [Option(name, _type_name(hints[name]), each.default) for name, each in parameters.items()]


class _Parameter(NamedTuple):
    annotation: Any
    default: Any
    names: Mapping[str, Any]  # where a postponed annotation is looked up


def _parameters(factory: Callable[..., Any]) -> dict[str, _Parameter]:
    found: dict[str, _Parameter] = {}
    for function in _functions(factory):
        signature = inspect.signature(function).parameters.values()
        plain = inspect.unwrap(function)
        names = getattr(plain, "__globals__", None) or vars(sys.modules[plain.__module__])
        for each in signature:
            if each.kind is each.KEYWORD_ONLY:
                found.setdefault(each.name, _Parameter(each.annotation, each.default, names))
        if not any(each.kind is each.VAR_KEYWORD for each in signature):
            break
    return found


def _functions(factory: Callable[..., Any]) -> list[Callable[..., Any]]:
    if not isinstance(factory, type):
        return [factory]
    return [vars(base)["__init__"] for base in factory.__mro__[:-1] if "__init__" in vars(base)]


def _hints(parameters: Mapping[str, _Parameter], what: str) -> dict[str, Any]:
    hints = {}
    for name, each in parameters.items():
        if each.annotation is REQUIRED:
            hints[name] = Any
            continue
        holder = types.SimpleNamespace(__annotations__={name: each.annotation}, __globals__=each.names)
        try:
            hints[name] = get_type_hints(cast(Any, holder), include_extras=True)[name]
        except Exception as error:
            raise UserError(
                f"{what}: the annotation of option {name!r} cannot be read: {one_line(error)}; "
                f"import its type at run time in the plugin's module"
            ) from error
    return hints


def _typed(hint: Any, value: Any, place: str, read: Mapping[type, Callable[[str], Any]]) -> Any:
    for kind in read:
        if isinstance(value, str) and kind in _members(hint):
            try:
                return read[kind](value)
            except UserError as error:
                raise UserError(f"{place}: {error}") from error.__cause__
    try:
        adapter = TypeAdapter[Any](Annotated[hint, BeforeValidator(_reader(hint))], config=_CONFIG)
        typed = adapter.validate_python(value)
        if isinstance(typed, int) and abs(typed) >= LARGEST:  # more than a tensor or a table can hold
            raise UserError(f"{place}: must be less than {LARGEST:,}, got {shown(value)}")
        return typed
    except ValidationError as error:
        errors = error.errors(include_url=False)
        said = dict.fromkeys(complaint({**each, "input": value}) for each in errors)
        first, *others = (each.removesuffix(f", got {shown(value)}") for each in said)
        text = " or ".join([first, *(each.removeprefix("must be ") for each in others)])
        raise UserError(f"{place}: {text}, got {shown(value)}") from None
    except PydanticUserError as error:
        raise UserError(f"{place}: its annotation cannot be checked: {one_line(error)}") from error


def _reader(hint: Any) -> Callable[[Any], Any]:
    """Reads what text cannot say by itself: none, and sequences."""
    members = _members(hint)
    optional = types.NoneType in members
    sequence = any((get_origin(each) or each) in _SEQUENCES for each in members)
    joined = sequence and str not in members

    def read(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if optional and value.strip().lower() == "none":
            return None
        inside = value.strip()
        if sequence and inside.startswith("[") and inside.endswith("]"):
            return split_list(inside[1:-1]) if inside[1:-1].strip() else []
        if joined:
            return [each.strip() for each in inside.split("+")] if inside else []
        return value

    return read


def _members(hint: Any) -> list[Any]:
    """The alternatives of a union, without their constraints."""
    if get_origin(hint) is Annotated:
        return _members(get_args(hint)[0])
    if get_origin(hint) in (Union, types.UnionType):
        return [member for each in get_args(hint) for member in _members(each)]
    return [hint]


def _type_name(hint: Any) -> str:
    if get_origin(hint) is Annotated:
        return _type_name(get_args(hint)[0])
    if get_origin(hint) in (Union, types.UnionType):
        return " | ".join(_type_name(each) for each in get_args(hint))
    if get_origin(hint) is Literal:
        return " | ".join(str(each) for each in get_args(hint))
    if hint is types.NoneType:
        return "None"
    return (
        hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint).replace("typing.", "")
    )
