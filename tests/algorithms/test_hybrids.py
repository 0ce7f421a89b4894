"""Chains hand over exactly and count every evaluation; checkpoints are read and refused; SGD is SGD."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from algorithms.hybrids.checkpoint import save_checkpoint
from harness import Sweep, sweep
from harness.core import (
    Algorithm,
    Block,
    Budget,
    Gradients,
    Perturbations,
    Points,
    Population,
    Projected,
    Space,
    UserError,
)
from harness.plugins.build import algorithm_class, build_algorithm
from tests.algorithms.drive import coordinates, drive, final_loss, space_of, sphere


def moved_space() -> Space:
    """Scales that are no powers of two, and a start that is not zero: sums have to be rounded."""
    blocks = [Block("w", (3, 2), "matrix", 0.3), Block("b", (4,), "vector", 1.7)]
    return Space(
        blocks, {block.name: torch.linspace(-1, 2, block.size).reshape(block.shape) for block in blocks}
    )


def build(text: str, budget: int = 60, space: Space | None = None, seed: int = 3) -> Algorithm:
    return build_algorithm(text, space or space_of(), Budget(budget), seed)


def parameters(population: Population, space: Space) -> dict[str, Tensor]:
    """Of a population of one."""
    if isinstance(population, Points):
        return {name: value[0] for name, value in space.parameters(population.values).items()}
    return {block.name: population.materialise(block.name)[0] for block in space.blocks}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in b)


def tell(algorithm: Algorithm, population: Population) -> None:
    points = coordinates(population)
    algorithm.tell(population, sphere(points), (points - 1) / points.shape[1])


def step(algorithm: Algorithm, remaining: int) -> Population | None:
    """One generation on the sphere; what was asked."""
    population = algorithm.ask(remaining)
    if population is not None:
        tell(algorithm, population)
    return population


def handed_over(text: str, space: Space, budget: int = 60) -> tuple[Algorithm, Population | None]:
    """A chain whose second stage has just asked for the first time, and what the first had reported."""
    chain = build(text, budget, space)
    while True:
        reported = chain.best()
        population = chain.ask(budget - sum(chain.spent))
        if chain._place == 1:
            return chain, reported
        tell(chain, population)


@pytest.mark.parametrize(("budget", "share", "first"), [(60, 0.5, 30), (47, 0.3, 14), (50, 0.25, 12)])
def test_the_first_spends_its_share_of_the_budget_and_the_second_all_the_rest(
    budget: int, share: float, first: int
) -> None:
    chain = build(f"chain[first=random,then=spsa,share={share}]", budget)
    assert sum(map(len, drive(chain, budget))) == budget - (budget - first) % 2
    assert chain.spent == [first, (budget - first) // 2 * 2]
    assert chain.inside == f"random: {first} evaluations; spsa: {(budget - first) // 2 * 2} evaluations"


def test_a_gradient_counts_three_evaluations_in_either_stage() -> None:
    chain = build("chain[first=adam,then=random,share=0.35]", 40)
    populations = []
    while (population := step(chain, 40 - sum(chain.spent))) is not None:
        populations.append(population)
    assert sum(isinstance(population, Gradients) for population in populations) == 4  # 12 of 14 evaluations
    assert chain.spent == [12, 28]


def test_what_the_first_cannot_spend_is_the_seconds() -> None:
    """pycma has a population of 10 at d = 10: of 35 evaluations it leaves 5."""
    chain = build("chain[first=pycma,then=random[population=7],share=0.5]", 70)
    drive(chain, 70)
    assert chain.spent == [30, 40]


def test_the_second_is_shown_what_is_left_as_its_budget() -> None:
    chain, _ = handed_over("chain[first=pycma,then=random,share=0.5]", space_of(), 70)
    assert (chain._running.budget.total, chain._running.budget.spent) == (40, 0)


def test_the_first_stage_is_the_run_that_it_would_be_alone() -> None:
    alone = drive(build("cross-entropy", 30), 30)
    chained = drive(build("chain[first=cross-entropy,then=spsa,share=0.5]"), 60)
    assert all(torch.equal(a, b) for a, b in zip(alone, chained, strict=False))


def test_stages_of_one_kind_do_not_draw_the_same_directions() -> None:
    chain = build("chain[first=mezo,then=mezo,share=0.5]", 40)
    draws = []
    while (population := step(chain, 40 - sum(chain.spent))) is not None:
        draws.append(population.noise.draw(0, "bias"))
    assert len(torch.stack(draws).unique(dim=0)) == len(draws)


@pytest.mark.parametrize("first", ["cross-entropy", "openai-es", "adam"])
@pytest.mark.parametrize("then", ["openai-es", "mu-lambda", "sgd"])
def test_the_second_starts_at_what_the_first_reported(first: str, then: str) -> None:
    space = moved_space()
    chain, reported = handed_over(f"chain[first={first},then={then},share=0.5]", space)
    assert reported is not None
    wanted, handed = parameters(reported, space), parameters(chain.best(), space)
    assert not same(wanted, space.start())
    if isinstance(reported, Perturbations) and isinstance(chain.best(), Points):
        # Coordinates in float32: two roundings of numbers up to 3.
        assert all(torch.allclose(handed[name], wanted[name], atol=3e-7) for name in wanted)
    else:
        assert same(handed, wanted)
    assert same(chain._moved.start(), wanted)


@pytest.mark.parametrize("then", ["openai-es", "eggroll", "spsa", "mu-lambda"])
def test_what_the_second_asks_is_in_terms_of_the_whole_space(then: str) -> None:
    space = moved_space()
    chain, _ = handed_over(f"chain[first=cross-entropy,then={then},share=0.5]", space)
    own = chain._asked
    asked = chain._translated(own)
    if isinstance(asked, Perturbations):
        assert asked.space is space
    here = asked.values if isinstance(asked, Points) else asked.coordinates()
    there = own.values if isinstance(own, Points) else own.coordinates()
    assert torch.allclose(here, there + chain._handed.values, atol=1e-5)


def test_perturbations_are_handed_over_without_a_copy() -> None:
    space = moved_space()
    chain, _ = handed_over("chain[first=openai-es,then=mezo,share=0.5]", space)
    assert all(chain._moved.start_of(name) is value for name, value in chain._handed.center.items())


@pytest.mark.parametrize("then", ["openai-es", "mu-lambda"])
def test_a_chain_works_in_a_subspace(then: str) -> None:
    space = Projected(moved_space(), dimension=5)
    chain, reported = handed_over(f"chain[first=cross-entropy,then={then},share=0.5]", space)
    assert isinstance(reported, Points)
    assert reported.values.any()
    assert torch.equal(coordinates(chain.best()), reported.values.double())


def test_a_first_stage_without_a_point_leaves_the_start() -> None:
    chain = build("chain[first=zero-shot,then=random,share=0]", 20)
    assert chain.best() is None
    alone = build("random", 20)
    assert len(torch.cat(drive(chain, 20))) == len(torch.cat(drive(alone, 20))) == 20
    assert chain.spent == [0, 20]


def test_a_chain_of_search_and_descent_is_better_than_either_with_its_part_of_the_budget() -> None:
    """Rosenbrock's first two moves: down into the valley, and along it."""

    def valley(points: Tensor) -> Tensor:
        return 100 * (points[:, 1:] - points[:, :-1] ** 2).square().sum(1) + (
            1 - points[:, :-1]
        ).square().sum(1)

    far = Space([Block("x", (4,), "vector")], {"x": torch.full((4,), -1.5)})

    def loss(points: Tensor) -> Tensor:
        return valley(points - 1.5)

    results = {}
    for name, text, budget in (
        ("search", "cma-es[sigma=0.5]", 300),
        ("descent", "adam[lr=0.05]", 300),
        ("chain", "chain[first=cma-es[sigma=0.5],then=adam[lr=0.05],share=0.5]", 600),
    ):
        algorithm = build(text, budget, far)
        drive(algorithm, budget, loss)
        results[name] = final_loss(algorithm, loss)
    assert results["chain"] < 0.5 * min(results["search"], results["descent"])


@pytest.mark.parametrize(
    "text",
    [
        "chain[first=openai-es[population=6],then=chain[first=cross-entropy,then=spsa,share=0.4],share=0.3]",
        "chain[first=nevergrad[optimizer=Shiwa],then=mezo]",
    ],
)
def test_the_same_seed_gives_the_same_chain_and_another_seed_another(text: str) -> None:
    runs = [torch.cat(drive(build(text, 60, seed=seed), 60)) for seed in (1, 1, 2)]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


@pytest.mark.parametrize("then", ["openai-es[population=8]", "mezo", "sgd"])
@pytest.mark.parametrize("first", ["openai-es[population=8]", "adam"])
@pytest.mark.parametrize("generations", [1, 6])
def test_a_chain_goes_on_from_its_state_in_either_stage(first: str, then: str, generations: int) -> None:
    text = f"chain[first={first},then={then},share=0.4]"
    whole = build(text)
    for _ in range(generations):
        step(whole, 60 - sum(whole.spent))
    again = build(text)
    again.load_state(whole.state())
    assert again.spent == whole.spent
    for algorithm in (whole, again):
        algorithm.asked = []
        while (population := step(algorithm, 60 - sum(algorithm.spent))) is not None:
            algorithm.asked.append(coordinates(population))
    assert len(whole.asked) > 1
    assert all(torch.equal(a, b) for a, b in zip(whole.asked, again.asked, strict=True))
    assert whole.inside == again.inside


def test_a_chain_has_the_capabilities_of_its_stages() -> None:
    free, _ = algorithm_class("chain[first=openai-es,then=pycma[covariance=vkd]]")
    assert not free.reference
    assert not free.needs_gradient
    assert free.libraries == ("cma",)
    assert free.largest_dimension == 1_000_000
    marked, options = algorithm_class(
        "chain[first=openai-es,then=chain[first=spsa,then=adam[lr=0.5]],share=0.5]"
    )
    assert marked.reference
    assert marked.needs_gradient
    assert marked.smallest_budget == 2 + 2 + 3
    assert options["then"].options["then"].options == {"lr": 0.5}
    assert not algorithm_class("chain")[0].reference


def test_a_misfit_says_which_stage_and_why() -> None:
    kind, options = algorithm_class("chain[first=random,then=pycma,share=0.8]")
    assert kind.misfit(10, 100, **options) is None
    assert kind.misfit(10, 40, **options) == "then: pycma: a budget of 8 is under one population of 10"
    assert "first: pycma: a full covariance" in misfit("chain[first=pycma,then=mezo]", 5000, 500)
    assert "then: adam: a budget of 0" in misfit("chain[first=random,then=adam,share=1]", 5, 50)


def misfit(text: str, dimension: int, budget: int) -> str:
    kind, options = algorithm_class(text)
    return kind.misfit(dimension, budget, **options) or ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("chain[first=opnai-es]", "chain: first: unknown algorithm 'opnai-es': did you mean 'openai-es'?"),
        ("chain[then=adam[rate=1]]", "chain: then: adam: unknown option 'rate'"),
        ("chain[then=adam[lr=-1]]", "chain: then: adam: lr: must be greater than 0"),
        ("chain[then=chain[first=spsa[sigma=0]]]", "chain: then: chain: first: spsa: sigma: must be"),
        ("chain[share=1.5]", "chain: share: must be at most 1"),
    ],
)
def test_an_error_in_a_stage_names_the_stage(text: str, said: str) -> None:
    with pytest.raises(UserError) as error:
        algorithm_class(text)
    assert str(error.value).startswith(said)


def test_a_stored_row_names_all_settings_versions_and_what_ran_inside(tmp_path: Path) -> None:
    words = Sweep.from_flags(
        tasks="sphere[dimension=12]",
        algorithms="chain[first=nevergrad[optimizer=Shiwa],then=sgd[lr=2],share=0.5]",
        budget=40,
        repetitions=1,
    )
    row = sweep(words, out=tmp_path).runs.iloc[0]
    assert row["status"] == "finished"
    for library in ("gradfree", "nevergrad", "cma"):
        assert f"{library}=={version(library)}" in row["provider"].split(", ")
    assert '"then": {"algorithm": "sgd[lr=2]", "lr": 2.0, "momentum": 0.9}' in row["settings"]
    assert '"optimizer": "Shiwa", "workers": null, "sigma": 1.0}' in row["settings"]
    assert row["inside"].startswith("nevergrad[optimizer=Shiwa]: 20 evaluations (MetaRecentering); ")
    assert row["inside"].endswith("; sgd[lr=2]: 18 evaluations")
    assert row["reference"]


def test_a_checkpoint_gives_back_what_was_saved_in_the_starts_own_type(tmp_path: Path) -> None:
    plain = moved_space()
    space = Space(plain.blocks, {name: value.bfloat16() for name, value in plain.start().items()})
    search = build("openai-es", 40, space)
    drive(search, 40)
    save_checkpoint(tmp_path / "point.safetensors", search.best(), space)
    checkpoint = build(f"checkpoint[path={tmp_path / 'point.safetensors'}]", 20, space)
    assert checkpoint.ask(20) is None
    assert same(parameters(checkpoint.best(), space), parameters(search.best(), space))
    assert checkpoint.best().center["w"].dtype is torch.bfloat16


def test_a_chain_starts_warm_at_a_checkpoint(tmp_path: Path) -> None:
    space, file = moved_space(), tmp_path / "point.safetensors"
    point = Points(torch.linspace(1, 2, 10)[None])
    save_checkpoint(file, point, space)
    chain = build(f"chain[first=checkpoint[path={file}],then=mezo,share=0]", 20, space)
    asked = chain.ask(20)
    assert same(dict(asked.center), parameters(point, space))
    assert algorithm_class(f"chain[first=checkpoint[path={file}],then=mezo,share=0]")[0].reference


def files(folder: Path) -> dict[str, Any]:
    good = {"w": torch.zeros(3, 2), "b": torch.zeros(4)}
    save_file({"w": good["w"]}, folder / "incomplete")
    save_file(good | {"b": torch.zeros(5)}, folder / "misshapen")
    save_file(good | {"b": torch.zeros(4, dtype=torch.int64)}, folder / "whole-numbers")
    (folder / "text").write_text("weights: none\n")
    (folder / "cut").write_bytes((folder / "misshapen").read_bytes()[:40])
    return {
        "incomplete": "holds no tensor 'b'",
        "misshapen": "tensor 'b' is F32 5, not floating-point 4",
        "whole-numbers": "tensor 'b' is I64 4, not floating-point 4",
        "text": "cannot be read as safetensors",
        "cut": "cannot be read as safetensors",
        "absent": "cannot be read as safetensors",
    }


@pytest.mark.parametrize("name", ["incomplete", "misshapen", "whole-numbers", "text", "cut", "absent"])
def test_a_checkpoint_that_does_not_fit_is_refused_with_its_name_and_a_remedy(
    name: str, tmp_path: Path
) -> None:
    said = files(tmp_path)[name]
    with pytest.raises(UserError) as error:
        build(f"checkpoint[path={tmp_path / name}]", 20, moved_space())
    assert str(tmp_path / name) in str(error.value)
    assert said in str(error.value)
    assert "write the file with save_checkpoint" in str(error.value)


def test_only_one_candidate_makes_a_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not 2"):
        save_checkpoint(tmp_path / "point", Points(torch.zeros(2, 10)), moved_space())


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_takes_the_steps_of_torchs(momentum: float) -> None:
    sgd = build(f"sgd[lr=0.3,momentum={momentum}]", 60)
    theirs = torch.zeros(10, requires_grad=True)
    rule = torch.optim.SGD([theirs], lr=0.3, momentum=momentum)
    for _ in range(8):
        population = sgd.ask(60)
        assert torch.allclose(population.values[0], theirs.detach(), atol=1e-6)
        gradient = (theirs.detach() - torch.linspace(-1, 2, 10)) * torch.arange(10)
        sgd.tell(population, torch.zeros(1), gradient[None])
        theirs.grad = gradient
        rule.step()


def test_sgd_leaves_out_a_step_whose_gradient_is_not_finite() -> None:
    sgd = build("sgd", 60)
    gradient = torch.ones(1, 10)
    gradient[0, 3] = torch.inf
    sgd.tell(sgd.ask(60), torch.zeros(1), gradient)
    assert not sgd.best().values.any()
