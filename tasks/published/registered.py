"""The published data sets as the registries know them: a factory for each card."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from harness.core import UserError
from tasks.answers.data import AnswerData
from tasks.datasets import TextData
from tasks.published.card import Card, card, names
from tasks.published.folder import Folder, read_folder
from tasks.published.hub import is_cached, read_hub
from tasks.published.rows import answer_rows, text_rows
from tasks.published.sample import answer_sample, text_sample
from tasks.published.table import kept

Published = TextData | AnswerData
POOL = 20_000
"""Rows of a split that are drawn from, where it has more."""
SMOKE = (24, 8)
"""Rows per class, and words of a row, of the sample that smoke runs use."""
SMOKE_TOKENS = 8
"""Of an answer in a smoke run: tiny models are short."""
PLANNED = 1024
"""Rows per class of the sample that stands in for a plan: enough for 512 to train and 512 to choose on."""


def _factory(name: str) -> Callable[..., Published]:
    def published(
        *,
        path: Path | None = None,
        per_class: Annotated[int, Field(ge=1)] | None = None,
        max_tokens: Annotated[int, Field(ge=4)] | None = None,
        rows: Annotated[int, Field(ge=1)] | None = POOL,
        wording: str | None = None,
        template: str | None = None,
        words: list[str] | None = None,
        smoke: bool = False,
        planning: bool = False,
    ) -> Published:
        own = card(name)
        folder = _rows(own, name, path, per_class, rows, smoke, planning)
        if own.answers is not None:
            data = _answer_data(own, name, folder, template, max_tokens)
            return replace(data, new_tokens=SMOKE_TOKENS) if smoke else data
        rows_per_class = folder.per_class or per_class
        asked = replace(_text_data(own, name, folder, wording, max_tokens), per_class=rows_per_class)
        return _reworded(asked, template, words)

    own = card(name)
    published.__name__ = published.__qualname__ = name.replace("-", "_")
    pinned = "" if own.hub.revision else " (revision of the hub not pinned)"
    published.__doc__ = f"""{own.summary}{pinned}.

    Args:
        path: a local folder of split files, or of published k-shot splits; None for the hub.
        per_class: rows per class to train and to choose on, whatever the protocol says.
        max_tokens: longest sequence, template included; longer texts are cut.
        rows: of a split that are drawn from, where it has more: always the same ones; None for all.
        wording: another published wording: {", ".join(own.variants) or "none for this set"}.
        template: in place of the published one.
        words: in place of the published ones, in class order.
        smoke: a small made-up sample in place of the rows.
        planning: such a sample where the rows are not at hand; nothing is downloaded.

    Source: {own.source}
    """
    return published


def _rows(
    own: Card,
    name: str,
    path: Path | None,
    per_class: int | None,
    rows: int | None,
    smoke: bool,
    planning: bool,
) -> Folder:
    """Rows by split, in place of lines."""
    if smoke or (planning and path is None and not is_cached(own)):
        count, length = SMOKE if smoke else (PLANNED, round(own.average_tokens / 1.3))
        if own.answers is not None:
            return Folder(answer_sample(own, name, 2 * count, length))  # type: ignore[arg-type]
        return Folder(text_sample(own, name, count, length))  # type: ignore[arg-type]
    made: Callable[..., list[Any]] = text_rows if own.answers is None else answer_rows
    if path is None:
        found = Folder(read_hub(own, name, rows))
    else:
        found = read_folder(path, own, name, per_class)
        found.splits = {
            split: [lines[i] for i in kept(len(lines), rows, f"{name}/{split}")]
            for split, lines in found.splits.items()
        }
    return replace(found, splits={split: made(own, lines) for split, lines in found.splits.items()})


def _text_data(own: Card, name: str, folder: Folder, wording: str | None, max_tokens: int | None) -> TextData:
    if wording is not None and wording not in own.variants:
        known = f"it has {', '.join(own.variants)}" if own.variants else "it has none beside the usual one"
        raise UserError(f"{name}: wording: there is no {wording!r}; {known}")
    wordings = own.worded(wording)
    causal = wordings.pop("causal")
    return TextData(
        name,
        folder.splits,  # type: ignore[arg-type]
        causal.template,
        causal.words,
        max_tokens,
        wordings,
        causal.alternatives,
        folder.shots,
        average_tokens=own.average_tokens,
        metric=own.metric,
    )


def _answer_data(
    own: Card, name: str, folder: Folder, template: str | None, max_tokens: int | None
) -> AnswerData:
    how = own.answers
    assert how is not None
    return AnswerData(
        name,
        folder.splits,  # type: ignore[arg-type]
        template or how.template,
        how.reward,
        how.new_tokens,
        how.stop,
        max_tokens=max_tokens,
        average_tokens=own.average_tokens,
    )


def _reworded(data: TextData, template: str | None, words: list[str] | None) -> TextData:
    """With a user's own template, which then serves all families, or a user's own words, or both."""
    if words is not None and len(words) != data.classes:
        raise UserError(f"{data.name}: words: {len(words)} for {data.classes} classes; give one for each")
    chosen = tuple(words or data.words)
    if template is not None:
        return replace(data, template=template, words=chosen, wordings={}, alternatives=())
    if words is None:
        return data
    wordings = {
        family: replace(each, words=chosen) for family, each in data.wordings.items() if family != "sentence"
    }
    return replace(data, words=chosen, wordings=wordings)


FACTORIES: Mapping[str, Callable[..., Published]] = {name: _factory(name) for name in names()}
"""By registered name."""


def __getattr__(name: str) -> Callable[..., Published]:
    """A factory by its name, as entry points ask for it; ``ag_news`` is ``ag-news``."""
    try:
        return FACTORIES[name.replace("_", "-")]
    except KeyError:
        raise AttributeError(name) from None
