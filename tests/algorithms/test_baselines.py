"""pycma, Nevergrad and Optuna: nothing swallowed, nothing substituted, nothing printed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from algorithms.baselines.nevergrad import _covariance_adapters
from algorithms.shaping import WorstSoFar
from harness.core import UserError
from tests.algorithms.drive import REGISTERED, drive, final_loss, make, space_of, sphere


@pytest.mark.parametrize(
    ("name", "options"),
    [("nevergrad", {"optimizer": "DiagonalCNA"}), ("optuna", {"sampler": "TEP"})],
)
def test_an_unknown_name_is_answered_with_the_nearest_right_one(name: str, options: dict[str, Any]) -> None:
    option, value = next(iter(options.items()))
    with pytest.raises(UserError, match=f"{option}: there is no '{value}'; nearest: .*(DiagonalCMA|TPE)"):
        make(name, space_of(), 100, **options)


def test_a_sampler_that_needs_more_than_a_seed_is_not_offered() -> None:
    for name in ("Grid", "PartialFixed", "BruteForce"):
        with pytest.raises(UserError, match="sampler: there is no"):
            make("optuna", space_of(), 100, sampler=name)


@pytest.mark.parametrize("sampler", ["TPE", "TPESampler", "Random", "QMC", "NSGAII", "NSGAIII", "CmaEs"])
def test_every_offered_sampler_runs_within_its_box(sampler: str) -> None:
    search = make("optuna", space_of(4), 30, sampler=sampler, bound=0.5)
    asked = torch.cat(drive(search, 30))
    assert len(asked) == 30
    assert not asked[0].any()
    assert float(asked.abs().max()) <= 0.5
    assert len(asked.unique(dim=0)) > 20


def test_the_samplers_differ_from_random_search() -> None:
    runs = [
        torch.cat(drive(make("optuna", space_of(4), 40, sampler=s), 40)) for s in ("TPE", "Random", "QMC")
    ]
    assert not torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[1], runs[2])


@pytest.mark.parametrize(
    "optimizer", ["CMA", "DiagonalCMA", "ECMA", "OnePlusOne", "DE", "PSO", "TBPSA", "NGOpt", "SPSA", "SQP"]
)
def test_nevergrad_optimizers_spend_the_budget_and_repeat_with_their_seed(optimizer: str) -> None:
    runs = [torch.cat(drive(make("nevergrad", space_of(), 60, 2, optimizer=optimizer), 60)) for _ in range(2)]
    assert len(runs[0]) == 60
    assert torch.equal(*runs)


def test_an_optimizer_that_draws_from_numpys_global_state_is_kept_off_it() -> None:
    runs = []
    for noise in (1, 2):
        np.random.seed(noise)
        before = np.random.get_state()[1:3]
        search = make("nevergrad", space_of(), 60, optimizer="LognormalDiscreteOnePlusOne")
        runs.append(torch.cat(drive(search, 60)))
        after = np.random.get_state()[1:3]
        assert before[0].tolist() == after[0].tolist()
        assert before[1] == after[1]
    assert torch.equal(*runs)


def test_nevergrad_keeps_optimizers_that_cannot_be_parallel_to_one_at_a_time() -> None:
    search = make("nevergrad", space_of(), 60, optimizer="SPSA")
    assert {len(points) for points in drive(search, 60)} == {1}


@pytest.mark.parametrize("optimizer", ["CMA", "DiagonalCMA", "LPCMA", "ECMA"])
def test_nevergrads_cma_is_asked_exactly_its_own_population(optimizer: str) -> None:
    search = make("nevergrad", space_of(), 300, optimizer=optimizer, workers=5)
    drive(search, 300)
    (inner,) = _covariance_adapters(search._search)
    assert inner._es.countiter == 300 // inner._popsize


@pytest.mark.parametrize("optimizer", ["CMAstd", "DiagonalCMA"])
def test_nevergrads_cma_tells_every_generation_where_two_point_adaptation_sets_in(optimizer: str) -> None:
    """d >= 300 with cma 4.5 fails in round 13 when asked another number than the population."""
    search = make("nevergrad", space_of(302), 420, optimizer=optimizer)
    asked = drive(search, 420)
    (inner,) = _covariance_adapters(search._search)
    assert {len(points) for points in asked} == {inner._popsize}
    assert inner._es.countiter == len(asked) >= 14


def test_defect_9_a_tell_that_the_library_refuses_is_raised_and_not_swallowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    search = make("nevergrad", space_of(), 100, optimizer="DiagonalCMA")
    population = search.ask(100)

    def refuse(*arguments: Any) -> None:
        raise AssertionError("Mean shift samples are expected but missing")

    monkeypatch.setattr(type(search._search._es), "tell", refuse)
    with pytest.raises(RuntimeError, match="refused"):
        search.tell(population, sphere(population.values.double()))


def test_a_full_covariance_of_many_coordinates_is_a_misfit() -> None:
    pycma, nevergrad = REGISTERED["pycma"].load(), REGISTERED["nevergrad"].load()
    assert "1,000,000 coordinates" in pycma.misfit(1_000_000, 200)
    assert pycma.misfit(1_000_000, 200, covariance="separable") is None
    assert "one population" in pycma.misfit(320, 20)
    assert "covariance" in nevergrad.misfit(5000, 200, optimizer="OldCMA")
    assert nevergrad.misfit(5000, 200, optimizer="DiagonalCMA") is None
    assert "No module named 'ax'" in nevergrad.misfit(5000, 200, optimizer="AXP")
    assert "full covariance" in pycma.misfit(5000, 200)
    assert pycma.misfit(5000, 200, covariance="vkd") is None
    assert "50,000" in REGISTERED["optuna"].load().misfit(50_000, 200)


def test_a_failure_counts_as_worse_than_any_finite_loss_of_the_run() -> None:
    worst = WorstSoFar()
    assert worst.replace(torch.tensor([torch.nan])).tolist() == [1e20]
    assert worst.replace(torch.tensor([5.0, 3.0, torch.nan]))[2] > 5.0
    assert worst.replace(torch.tensor([1.0, torch.inf]))[1] > 5.0
    assert not worst.replace(torch.tensor([-torch.inf])).item() > 1.0


def test_pycma_is_the_librarys_own_run() -> None:
    import cma

    search = make("pycma", space_of(), 50, 7, sigma=0.5)
    mine = torch.cat(drive(search, 50)).numpy()
    stream = np.random.default_rng(7)
    library = cma.CMAEvolutionStrategy(
        np.zeros(10), 0.5, {"verbose": -9, "seed": np.nan, "randn": lambda *n: stream.standard_normal(n)}
    )
    theirs = []
    while len(theirs) + library.popsize <= 50:
        points = library.ask()
        library.tell(points, [float(sphere(torch.from_numpy(p).float().double()[None])) for p in points])
        theirs += points
    np.testing.assert_allclose(mine, np.stack(theirs), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(search.best().values[0].numpy(), library.result.xfavorite, rtol=1e-6)


def test_pycmas_vkd_is_the_librarys_own_run_and_draws_from_no_global_state() -> None:
    import cma
    from cma.restricted_gaussian_sampler import GaussVkDSampler

    search = make("pycma", space_of(), 50, 7, sigma=0.5, covariance="vkd")
    assert type(search._search.sm) is GaussVkDSampler
    mine = torch.cat(drive(search, 50)).numpy()
    stream = np.random.default_rng(7)

    def normal(*shape: int) -> np.ndarray:
        return stream.standard_normal(shape)

    options = {"verbose": -9, "seed": np.nan, "randn": normal, "CMA_sampler_options": {"randn": normal}}
    library = cma.CMAEvolutionStrategy(np.zeros(10), 0.5, GaussVkDSampler.extend_cma_options(options))
    theirs = []
    while len(theirs) + library.popsize <= 50:
        points = library.ask()
        library.tell(points, [float(sphere(torch.from_numpy(p).float().double()[None])) for p in points])
        theirs += points
    np.testing.assert_allclose(mine, np.stack(theirs), rtol=1e-6, atol=1e-7)


def test_pycmas_vkd_learns_a_direction_that_a_diagonal_cannot() -> None:
    """A cigar along (1, ..., 1)/sqrt(d), condition 1e4: axis-parallel variances do not see it."""

    def cigar(points: torch.Tensor) -> torch.Tensor:
        away = points - 1.0
        along = away.mean(1, keepdim=True)
        return 1e4 * (away - along).square().sum(1) + away.shape[1] * along[:, 0].square()

    last = {}
    for covariance in ("vkd", "separable"):
        search = make("pycma", space_of(12), 3500, covariance=covariance)
        drive(search, 3500, cigar)
        last[covariance] = final_loss(search, cigar)
    assert last["vkd"] < 1e-4 * last["separable"]


def test_pycma_goes_on_after_the_library_declares_it_finished() -> None:
    search = make("pycma", space_of(4), 4000, population=8)
    asked = drive(search, 4000)
    assert sum(map(len, asked)) == 4000
    spread = [float(points.std(0).max()) for points in asked]
    assert min(spread) < 1e-3
    assert max(spread[spread.index(min(spread)) :]) > 0.1
    assert final_loss(search) < 1e-2


@pytest.mark.parametrize("covariance", ["full", "separable"])
def test_pycma_moves_at_a_dimension_with_two_point_adaptation(covariance: str) -> None:
    search = make("pycma", space_of(302), 630, covariance=covariance)
    drive(search, 630)
    assert final_loss(search) < 0.45


@pytest.mark.parametrize("name", ["pycma", "nevergrad", "optuna"])
def test_nothing_is_printed(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    def spoil(generation: int, losses: torch.Tensor) -> torch.Tensor:
        losses[0] = torch.nan
        return losses

    drive(make(name, space_of(), 80), 80, spoil=spoil)
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


def test_a_wizard_says_what_it_chose() -> None:
    search = make("nevergrad", space_of(20), 60, optimizer="Shiwa")
    assert search.inside == "MetaCMA > CMAstd"
    assert make("nevergrad", space_of(20), 60, optimizer="DE").inside is None


@pytest.mark.parametrize("optimizer", ["FCMA", "NLOPT_LN_SBPLX", "PymooNSGA2", "AXP"])
def test_defect_9_a_package_that_is_missing_is_named_and_nothing_else_runs_in_its_place(
    optimizer: str,
) -> None:
    """Nevergrad answers with random points where the thread of such a library has died."""
    with pytest.raises(UserError, match=r"optimizer: .*(fcmaes|nlopt|pymoo|ax)"):
        drive(make("nevergrad", space_of(), 60, optimizer=optimizer), 60)


def test_defect_9_a_method_that_ends_early_is_not_continued_with_random_points(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    search = make("nevergrad", space_of(), 60, optimizer="SQP")

    def three_points(objective: Any) -> np.ndarray:
        return min((objective(np.full(10, x)), x) for x in (0.0, 0.5, 0.25))[1] * np.ones(10)

    monkeypatch.setattr(search._search, "get_optimization_function", lambda: three_points)
    asked = drive(search, 60)
    assert [float(points[0, 0]) for points in asked] == [0.0, 0.5, 0.25]
    assert torch.equal(search.best().values, torch.full((1, 10), 0.5))


def test_a_library_in_a_thread_draws_nothing_between_ask_and_tell() -> None:
    """DSproba draws directions from numpy's global state, in its thread, as soon as it is told a loss."""
    runs = []
    for noise in (1, 2):
        np.random.seed(noise)
        before = np.random.get_state()[1].tolist()
        runs.append(torch.cat(drive(make("nevergrad", space_of(), 60, optimizer="DSproba"), 60)))
        assert np.random.get_state()[1].tolist() == before
    assert torch.equal(*runs)


@pytest.mark.parametrize("optimizer", ["ChainCMAPowell", "Carola1", "MultiDS", "MetaModelDSproba"])
def test_a_sequential_part_is_never_asked_twice_before_it_is_told(optimizer: str) -> None:
    """It would wait for ever: a CMA-ES beside it has a population of more than one."""
    assert len(torch.cat(drive(make("nevergrad", space_of(), 60, optimizer=optimizer), 60))) == 60


def test_generations_refused_for_points_of_others_are_counted() -> None:
    """TripleCMA tells each of its three CMA-ES all points: 36 for the 12 that it had asked."""
    search = make("nevergrad", space_of(20), 60, optimizer="TripleCMA")
    drive(search, 60)
    assert search.inside.startswith("CMA-ES refused 3 generations")


def test_a_name_that_ends_in_a_blank_is_found_without_it() -> None:
    make("nevergrad", space_of(), 60, optimizer="UltraSmoothDiscreteLognormalOnePlusOne").ask(60)


@pytest.mark.parametrize("optimizer", ["DiagonalCMA", "OnePlusOne", "DE", "PSO", "TBPSA", "SPSA", "CMA"])
def test_a_short_archive_changes_no_run_of_a_method_that_does_not_read_it(
    optimizer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = []
    for limit in (20_000, 1):
        monkeypatch.setattr("algorithms.baselines.nevergrad._LONG_ARCHIVE_LIMIT", limit)
        search = make("nevergrad", space_of(), 150, optimizer=optimizer)
        runs.append((torch.cat(drive(search, 150)), search.best().values, len(search._search.archive)))
    (points, best, many), (again, best_again, few) = runs
    assert torch.equal(points, again)
    assert torch.equal(best, best_again)
    assert few <= 60 < many


def test_optunas_cma_es_is_asked_exactly_its_own_population() -> None:
    """It drops what is more: at d = 20 its generations are of 12."""
    search = make("optuna", space_of(20), 60, sampler="CmaEs")
    assert [len(points) for points in drive(search, 60)] == [12] * 5
    generations = [
        value for trial in search._study.trials for key, value in trial.system_attrs.items() if "gener" in key
    ]
    assert max(generations) == 3


def test_classes_name_the_libraries_that_search_for_them() -> None:
    libraries = {name: REGISTERED[name].load().libraries for name in ("pycma", "nevergrad", "optuna")}
    assert libraries == {"pycma": ("cma",), "nevergrad": ("nevergrad", "cma"), "optuna": ("optuna", "cmaes")}
