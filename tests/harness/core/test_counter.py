"""Random numbers as functions of key and place: the published words, independent draws, one kernel each."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from harness.core import counter

WORD = 2**64


def published(place: int, key: int) -> int:
    """Five rounds of squares64, transcribed from the equations of arXiv 2004.06278."""

    def turned(x: int) -> int:
        return (x >> 32 | x << 32) % WORD

    y = place * key % WORD
    z = (y + key) % WORD
    x = turned((y * y + y) % WORD)
    x = turned((x * x + z) % WORD)
    x = turned((x * x + y) % WORD)
    last = (x * x + z) % WORD
    x = turned(last)
    return last ^ ((x * x + y) % WORD >> 32)


def test_words_are_those_of_the_publication() -> None:
    places = torch.tensor([0, 1, 2, 2**31, 2**40 + 17])
    keys = counter.keys(2**63 + 5, torch.tensor([0, 1, 2**50]))
    words = counter.words(keys[:, None], places)
    expected = [[published(place, key % WORD) for place in places.tolist()] for key in keys.tolist()]
    assert [[word % WORD for word in row] for row in words.tolist()] == expected


def test_draws_of_neighbouring_keys_and_places_are_uncorrelated_standard_normals() -> None:
    """Squared correlations of independent columns of length n have mean 1/n, here to 1 %."""
    drawn = counter.normals(counter.keys(7, torch.arange(1000))[:, None], torch.arange(1000)).double()
    assert abs(float(drawn.mean())) < 4e-3
    assert abs(float(drawn.var()) - 1) < 6e-3
    assert abs(float((drawn**4).mean()) - 3) < 4e-2
    for columns in (drawn, drawn.T):
        squares = torch.corrcoef(columns).square()
        assert 1000 * float(squares[~torch.eye(1000, dtype=torch.bool)].mean()) == pytest.approx(1, abs=0.01)


def test_one_kernel_gives_what_key_by_key_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    """The functions can be traced for any number of keys and places; the compiler itself is left out."""
    keys, place = counter.keys(3, torch.arange(5)), torch.arange(10, 50)
    center = torch.linspace(-1, 1, 40, dtype=torch.bfloat16)
    weight = torch.tensor([0.5, -1.0, 0.0, 2.0, 1.0])

    def results(k: int, m: int) -> list[torch.Tensor]:
        mine = keys[:k], place[:m]
        return [
            counter.drawn("normal", *mine, torch.float32),
            counter.displaced("sign", *mine, center[:m], weight[:k], 0.5),
            counter.summed("normal", *mine, weight[:k]),
        ]

    shapes = [(5, 40), (1, 40), (3, 7), (4, 11)]
    expected = [results(*shape) for shape in shapes]
    compiled: list[str] = []

    def compiler(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> torch.fx.GraphModule:
        compiled.append(str(graph.code))
        return graph

    monkeypatch.setattr(counter, "fuses", lambda device: True)
    monkeypatch.setattr(counter, "_FUSED", {})
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=compiler))
    for shape, parts in zip(shapes, expected, strict=True):
        for found, part in zip(results(*shape), parts, strict=True):
            torch.testing.assert_close(found, part)
    assert len(compiled) == len(counter._FUSED) == 3, "each is compiled once for all shapes"
