"""Options are typed by the annotations of a plugin, and refused with what is allowed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pytest
from pydantic import Field

from harness.core import UserError
from harness.plugins.options import REQUIRED, describe_options, typed_options

if TYPE_CHECKING:
    from nowhere import Absent


class Base:
    def __init__(
        self, space: Absent, *, sigma: Annotated[float, Field(gt=0)] = 0.1, population: str = "7", **rest: Any
    ) -> None:
        self.sigma = sigma


class Plugin(Base):
    def __init__(
        self,
        space: Absent,
        *,
        population: Annotated[int, Field(ge=1, le=100)] = 20,
        targets: tuple[str, ...] = (),
        layers: list[int] | None = None,
        scheme: Literal["forward", "central"] = "central",
        decay: float | None = 0.5,
        mirrored: bool = False,
        text: str | list[str] = "text",
        start: Annotated[float, Field(ge=0)] | Literal["auto"] = "auto",
        path: Path | None = None,
        anything=None,
        **options: Any,
    ) -> None: ...


@pytest.mark.parametrize(
    ("name", "given", "typed"),
    [
        ("population", "32", 32),
        ("population", 32, 32),
        ("sigma", "1e-3", 1e-3),
        ("targets", "q_proj+v_proj", ("q_proj", "v_proj")),
        ("targets", "[q_proj, v_proj]", ("q_proj", "v_proj")),
        ("targets", "q_proj", ("q_proj",)),
        ("targets", "[]", ()),
        ("targets", ["a"], ("a",)),
        ("layers", "[0,1]", [0, 1]),
        ("layers", "none", None),
        ("scheme", "forward", "forward"),
        ("decay", "None", None),
        ("mirrored", "true", True),
        ("text", "a+b", "a+b"),
        ("text", "[a,b]", ["a", "b"]),
        ("text", 5, "5"),
        ("start", "auto", "auto"),
        ("start", "2", 2.0),
        ("path", "a/b", Path("a/b")),
        ("anything", "x", "x"),
    ],
)
def test_an_option_is_typed_by_its_annotation(name, given, typed):
    result = typed_options(Plugin, {name: given}, "plugin")
    assert result == {name: typed}
    assert type(result[name]) is type(typed) or isinstance(typed, Path)


def test_only_the_given_options_are_returned():
    assert typed_options(Plugin, {}, "plugin") == {}


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("population", "0", "plugin: population: must be at least 1, got '0'"),
        ("population", "101", "plugin: population: must be at most 100, got '101'"),
        ("population", "many", "plugin: population: must be a whole number, got 'many'"),
        ("population", "2.5", "plugin: population: must be a whole number, got '2.5'"),
        ("sigma", "-1", "plugin: sigma: must be greater than 0, got '-1'"),
        ("sigma", "nan", "plugin: sigma: must be a finite number, got 'nan'"),
        ("scheme", "back", "plugin: scheme: must be 'forward' or 'central', got 'back'"),
        ("mirrored", "maybe", "plugin: mirrored: must be true or false, got 'maybe'"),
        ("layers", "a+b", "plugin: layers: must be a whole number, got 'a+b'"),
        ("start", "soon", "plugin: start: must be a number or 'auto', got 'soon'"),
    ],
)
def test_a_wrong_value_is_refused_with_what_is_allowed(name, given, said):
    with pytest.raises(UserError) as caught:
        typed_options(Plugin, {name: given}, "plugin")
    assert str(caught.value) == said


def test_an_unknown_option_is_answered_with_the_nearest():
    with pytest.raises(UserError, match=r"plugin: unknown option 'sgima': did you mean 'sigma'\?"):
        typed_options(Plugin, {"sgima": "1"}, "plugin")


def test_an_option_near_to_nothing_is_answered_with_the_list():
    def plugin(*, rank: int = 1, alpha: float = 1.0): ...

    with pytest.raises(UserError, match="unknown option 'zzz': there are alpha, rank"):
        typed_options(plugin, {"zzz": "1"}, "plugin")


def test_positional_parameters_are_no_options():
    with pytest.raises(UserError, match="unknown option 'space'"):
        typed_options(Plugin, {"space": "1"}, "plugin")


def test_a_missing_option_without_default_is_asked_for():
    def files(*, train: str, dev: str | None = None): ...

    with pytest.raises(UserError, match=r"files: option 'train' is missing; give train=\.\.\."):
        typed_options(files, {}, "files")
    assert describe_options(files)[0].default is REQUIRED


def test_a_base_class_has_its_options_only_where_they_are_passed_on():
    class Closed(Base):
        def __init__(self, space: Absent, *, rank: int = 1) -> None: ...

    assert [option.name for option in describe_options(Closed)] == ["rank"]
    assert "sigma" in [option.name for option in describe_options(Plugin)]


def test_options_are_described_with_type_and_default():
    described = {option.name: (option.type, option.default) for option in describe_options(Plugin)}
    assert described["sigma"] == ("float", 0.1)
    assert described["population"] == ("int", 20)  # the derived class's, not its base's
    assert described["targets"] == ("tuple[str, ...]", ())
    assert described["scheme"] == ("forward | central", "central")
    assert described["decay"] == ("float | None", 0.5)


def test_an_annotation_that_cannot_be_read_is_the_plugins_fault_and_says_so():
    def plugin(*, rank: Absent = 1): ...

    with pytest.raises(UserError, match="annotation of option 'rank' cannot be read: NameError"):
        typed_options(plugin, {"rank": "1"}, "plugin")


def test_a_class_without_a_constructor_has_no_options():
    class Plain: ...

    assert describe_options(Plain) == []
