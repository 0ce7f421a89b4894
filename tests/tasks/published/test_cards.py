"""Every published card: well-formed, in words that fit, pinned, and usable without any file."""

from __future__ import annotations

import pytest

from harness.core import Protocol, UserError
from harness.plugins.registry import DATASETS
from tasks.answers.data import AnswerData
from tasks.datasets import TextData
from tasks.published.card import card, names
from tasks.published.registered import FACTORIES
from tasks.published.rows import CHANGES
from tasks.splits import few_shot, sized
from tasks.wording import FAMILIES

SENTENCES = ["sst2", "sst5", "mr", "cr", "mpqa", "subj", "trec", "ag-news", "yelp", "dbpedia"]
PAIRS = ["snli", "mnli", "rte", "mrpc", "boolq", "cb", "wic", "wsc"]
QUESTIONS = ["copa", "squad", "gsm8k"]
EXPECTED = [*SENTENCES, *PAIRS, *QUESTIONS]
CLASSES = {"sst5": 5, "trec": 6, "ag-news": 4, "dbpedia": 14, "snli": 3, "mnli": 3, "cb": 3}
NOT_PINNED = {"mpqa"}
"""No commit of these was found in anything published; the list of data sets says so."""


def test_every_set_of_the_published_comparisons_has_a_card_and_is_registered() -> None:
    assert names() == sorted(EXPECTED)
    assert set(EXPECTED) <= set(DATASETS.names())
    assert DATASETS.load("ag-news") is FACTORIES["ag-news"]


@pytest.mark.parametrize("name", EXPECTED)
def test_a_card_is_complete(name: str) -> None:
    own = card(name)
    assert (own.hub.revision is None) == (name in NOT_PINNED)
    assert ("not pinned" in str(FACTORIES[name].__doc__).splitlines()[0]) == (name in NOT_PINNED)
    assert {"train", "test"} <= own.hub.splits.keys()
    assert all(how.split()[0] in own.fields and how.split()[1] in CHANGES for how in own.derived.values())
    assert own.average_tokens > 0
    if own.answers is None:
        assert len(own.labels) == CLASSES.get(name, 2)
        assert {"causal", "masked", "sentence"} <= own.wordings.keys()
        spellings = [each for label in own.labels for each in label]
        assert len(set(spellings)) == len(spellings)
        assert all(each == each.lower() for each in spellings), "labels are compared in small letters"


@pytest.mark.parametrize("name", EXPECTED)
def test_a_smoke_sample_is_asked_in_every_familys_words(name: str) -> None:
    data = FACTORIES[name](smoke=True)
    assert data.digest == FACTORIES[name](smoke=True).digest, "the same on every call"
    if isinstance(data, AnswerData):
        split = sized(data, Protocol(train_rows=4, dev_rows=4, test_rows=16), 0)
        assert [len(rows) for rows in (split.train, split.dev, split.test)] == [4, 4, 16]
        return
    split = few_shot(data, Protocol(per_class=4, test_rows=16), 0)
    assert len(split.train) == len(split.dev) == 4 * data.classes
    assert len(split.test) == 16
    row = data.splits["test"][0]
    for family in FAMILIES:
        worded = data.worded(family)
        text = worded.filled(row, mask="<mask>")
        assert (family == "masked") == ("<mask>" in text)
        for template in worded.alternatives:
            assert template != worded.template
            assert ("{mask}" in template) == (family == "masked")


@pytest.mark.parametrize("name", EXPECTED)
def test_variants_are_known_by_name(name: str) -> None:
    own = card(name)
    for variant in own.variants:
        usual, other = (FACTORIES[name](smoke=True, wording=each) for each in (None, variant))
        assert isinstance(usual, TextData)
        assert isinstance(other, TextData)
        assert other.worded("masked").template != usual.worded("masked").template
        assert other.worded("causal").template == usual.worded("causal").template
    if own.answers is None:
        with pytest.raises(UserError, match=f"{name}: wording: there is no 'gpt'"):
            FACTORIES[name](smoke=True, wording="gpt")


@pytest.mark.parametrize(
    ("name", "family", "template", "words"),
    [
        # Gao et al., Making pre-trained language models better few-shot learners, 2021, table 1.
        ("sst2", "masked", "{sentence} It was {mask}.", ("terrible", "great")),
        ("sst5", "masked", "{sentence} It was {mask}.", ("terrible", "bad", "okay", "good", "great")),
        ("subj", "masked", "{sentence} This is {mask}.", ("subjective", "objective")),
        # Malladi et al., Fine-tuning language models with just forward passes, 2023, table of OPT prompts.
        ("sst2", "causal", "{sentence} It was", ("terrible", "great")),
        (
            "rte",
            "causal",
            '{premise}\nDoes this mean that "{hypothesis}" is true? Yes or No?\n',
            ("Yes", "No"),
        ),
        # Sun et al., Black-box tuning for language-model-as-a-service, 2022, table of templates.
        ("ag-news", "masked", "{mask} News: {text}", ("World", "Sports", "Business", "Tech")),
    ],
)
def test_the_words_are_the_published_ones(
    name: str, family: str, template: str, words: tuple[str, ...]
) -> None:
    data = FACTORIES[name](smoke=True)
    assert isinstance(data, TextData)
    worded = data.worded(family)
    assert (worded.template, worded.words) == (template, words)


def test_a_users_own_template_and_words_take_the_place_of_the_published_ones() -> None:
    data = FACTORIES["sst2"](smoke=True, template="{sentence} Verdict:", words=["bad", "good"])
    assert isinstance(data, TextData)
    assert data.worded("causal").template == "{sentence} Verdict:"
    assert data.worded("masked").template == "{sentence} Verdict: {mask} ."
    worded = FACTORIES["sst2"](smoke=True, words=["bad", "good"])
    assert isinstance(worded, TextData)
    assert worded.worded("masked").words == ("bad", "good")
    with pytest.raises(UserError, match="sst2: words: 3 for 2 classes"):
        FACTORIES["sst2"](smoke=True, words=["a", "b", "c"])


def test_the_sample_of_a_plan_has_rows_for_the_published_protocols() -> None:
    data = FACTORIES["trec"](planning=True)
    assert isinstance(data, TextData)
    split = few_shot(data, Protocol(per_class=512, test_rows=1000), 4)
    assert (len(split.train), len(split.dev), len(split.test)) == (3072, 3072, 1000)
    questions = FACTORIES["squad"](planning=True)
    split = sized(questions, Protocol(train_rows=1000, dev_rows=500, test_rows=1000), 0)
    assert (len(split.train), len(split.dev), len(split.test)) == (1000, 500, 1000)
    words = len(questions.filled(questions.splits["train"][0]).split())  # type: ignore[arg-type]
    assert 100 < words < 185, "as long as the real ones, about"


def test_paraphrases_are_compared_by_f1() -> None:
    metrics = {name: getattr(FACTORIES[name](smoke=True), "metric", None) for name in EXPECTED}
    assert [name for name, metric in metrics.items() if metric == "f1"] == ["mrpc"]
