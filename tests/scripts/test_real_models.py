"""The check on pre-trained models: losses beside plain evaluation, and exports read by other libraries."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import check_real_models

from tasks.language_model import LanguageModel
from tasks.reference import model_path


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    """A few made-up reviews in the layout of GLUE."""
    for split, count in (("train", 40), ("dev", 40), ("test", 12)):
        rows = [f"the {('poor', 'great')[i % 2]} film {'again ' * (i % 5)}\t{i % 2}" for i in range(count)]
        (tmp_path / f"{split}.tsv").write_text("sentence\tlabel\n" + "\n".join(rows) + "\n")
    return tmp_path


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_losses_are_those_of_plain_evaluation_and_exports_answer_as_in_the_sweep(reviews: Path) -> None:
    losses = check_real_models.losses(reviews, LanguageModel(path=str(model_path())))
    assert len(losses) == 9
    assert losses["largest relative difference"].max() < 1e-5 < losses["losses differ by"].min()
    exports = check_real_models.exports(reviews, "model", model_path(), test_rows=12)
    assert exports["tuning"].tolist() == ["prompt", "lora", "full"]
    assert exports["sweep"].tolist() == pytest.approx(exports["alone"].tolist())
