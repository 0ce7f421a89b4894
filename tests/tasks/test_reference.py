"""The reference language is large, goes beyond counting words and is split cleanly; the stored model fits."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections import Counter, defaultdict
from random import Random

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tasks.reference import model_path
from tasks.reference.corpus import documents
from tasks.reference.datasets import CARDS, DRAWS, SPLITS, rows
from tasks.reference.inference import CONTRADICTION, ENTAILMENT, NEUTRAL, Statement, relation
from tasks.reference.lexicon import vocabulary

NAMES = tuple(CARDS)


def digest(sentence: str) -> bytes:
    return hashlib.sha256(sentence.encode()).digest()


def sentences_of(name: str, split: str) -> set[bytes]:
    return {digest(str(row[field])) for row in rows(name, split) for field in CARDS[name].fields}


@pytest.fixture(scope="module")
def corpus() -> list[tuple[str, tuple[str, ...]]]:
    """The very text that the stored model was trained on."""
    return list(documents())


@pytest.fixture(scope="module")
def pretraining(corpus: list[tuple[str, tuple[str, ...]]]) -> set[bytes]:
    return {digest(sentence) for _, sentences in corpus for sentence in sentences}


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(model_path())


@pytest.fixture(scope="module")
def model():
    return AutoModelForCausalLM.from_pretrained(model_path()).eval()


def test_no_split_shares_a_sentence_with_another_or_with_the_pretraining_text(pretraining):
    homes = [pretraining]
    homes += [set().union(*(sentences_of(name, split) for name in NAMES)) for split in SPLITS]
    assert len(set().union(*homes)) == sum(len(home) for home in homes)


def test_the_grammar_gives_more_than_a_hundred_thousand_distinct_sentences(pretraining):
    assert len(pretraining) > 100_000


def test_the_language_has_a_few_hundred_words_and_no_others_are_used(corpus):
    used = {word for document, _ in corpus for word in document.split()} - {"<s>", "</s>"}
    assert used == set(vocabulary())
    assert 250 <= len(used) <= 500


def test_the_corpus_is_the_same_on_every_call(corpus):
    assert list(documents(500)) == corpus[:500]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("split", SPLITS)
def test_a_split_is_distinct_and_balanced(name, split):
    table = rows(name, split)
    assert (
        len({tuple(row[field] for field in CARDS[name].fields) for row in table})
        == len(table)
        == SPLITS[split]
    )
    counts = Counter(row["label"] for row in table)
    assert set(counts) == set(range(len(CARDS[name].words)))
    assert max(counts.values()) - min(counts.values()) <= 1


def test_rows_are_the_same_on_every_call_and_in_another_process():
    ask = "import json, tasks.reference.datasets as d; print(json.dumps([d.rows(n, 'dev') for n in d.CARDS]))"
    other = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert json.loads(other.stdout) == [rows(name, "dev") for name in NAMES]
    assert [rows(name, "dev") for name in NAMES] == [rows(name, "dev") for name in NAMES]


@pytest.mark.parametrize(("name", "split"), [("poetry", "train"), ("topic", "validation")])
def test_an_unknown_name_is_answered_with_the_choices(name, split):
    with pytest.raises(ValueError, match=r"choose one of (sentiment|train)"):
        rows(name, split)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_words_in_another_order_can_have_another_label(name):
    rng, labels = Random(0), defaultdict(set)
    for index in range(60_000):
        judged = DRAWS[name](rng, index % len(CARDS[name].words), lambda sentence: True)
        labels[tuple(sorted(" ".join(judged.sentences).split()))].add(judged.careful)
    assert sum(len(found) > 1 for found in labels.values()) >= 10


@pytest.mark.parametrize("name", NAMES)
def test_a_linear_classifier_of_word_counts_stays_far_from_perfect(name):
    """Ridge regression on counts of words, apart for premise and hypothesis, with the best ridge."""
    columns = {}

    def counts(table):
        features = np.zeros((len(table), 2 * len(vocabulary()) + 1))
        features[:, -1] = 1
        for index, row in enumerate(table):
            for field in CARDS[name].fields:
                for word in str(row[field]).split():
                    features[index, columns.setdefault((field, word), len(columns))] += 1
        return features, np.array([row["label"] for row in table])

    (inputs, labels), (test_inputs, test_labels) = counts(rows(name, "train")), counts(rows(name, "test"))
    targets = np.eye(len(CARDS[name].words))[labels]

    def accuracy(ridge):
        weights = np.linalg.solve(inputs.T @ inputs + ridge * np.eye(inputs.shape[1]), inputs.T @ targets)
        return ((test_inputs @ weights).argmax(1) == test_labels).mean()

    assert max(accuracy(ridge) for ridge in (1.0, 10.0, 100.0)) < 0.85


def test_negation_turns_generalising_into_specialising():
    """Who finds a dog finds a pet, who finds no pet finds no dog, and the converse of either is open."""
    dog = Statement("nurse", ("found", "find"), None, "dog", None, negated=False)
    pet = dog._replace(noun="pet")
    no_dog, no_pet = dog._replace(negated=True), pet._replace(negated=True)
    assert [relation(dog, pet), relation(pet, dog)] == [ENTAILMENT, NEUTRAL]
    assert [relation(no_pet, no_dog), relation(no_dog, no_pet)] == [ENTAILMENT, NEUTRAL]
    assert [relation(dog, no_pet), relation(no_pet, dog)] == [CONTRADICTION, CONTRADICTION]
    assert [relation(pet, no_dog), relation(no_dog, pet)] == [NEUTRAL, NEUTRAL]


@pytest.mark.parametrize("name", NAMES)
def test_every_answer_word_is_a_token_of_its_own(name, tokenizer):
    answers = [tokenizer(word, add_special_tokens=False)["input_ids"] for word in CARDS[name].words]
    assert all(len(ids) == 1 and ids[0] != tokenizer.unk_token_id for ids in answers)
    assert len({ids[0] for ids in answers}) == len(answers)


@pytest.mark.parametrize(("name", "longest"), [("sentiment", 16), ("topic", 16), ("entailment", 27)])
def test_a_filled_template_is_short_and_all_known_words(name, longest, tokenizer):
    filled = tokenizer([CARDS[name].template.format(**row) for row in rows(name, "test")])["input_ids"]
    assert max(map(len, filled)) <= longest
    assert not any(tokenizer.unk_token_id in ids for ids in filled)


def test_the_model_keeps_to_half_a_million_parameters_and_a_megabyte_and_a_half(model):
    assert model.num_parameters() <= 500_000
    assert sum(file.stat().st_size for file in model_path().glob("*.safetensors")) <= 1_500_000


def answers(model, tokenizer, name, opening):
    """The accuracy on the dev split with a text put before the begin token."""
    card, table = CARDS[name], rows(name, "dev")
    texts = [f"{opening}{tokenizer.bos_token} {card.template.format(**row)}" for row in table]
    batch = tokenizer(texts, padding=True, return_tensors="pt", add_special_tokens=False)
    with torch.no_grad():
        logits = model(**batch).logits
    last = logits[torch.arange(len(table)), batch["attention_mask"].sum(1) - 1]
    chosen = last[:, tokenizer.convert_tokens_to_ids(list(card.words))].argmax(1)
    return (chosen == torch.tensor([row["label"] for row in table])).double().mean().item()


@pytest.mark.parametrize("name", NAMES)
def test_the_model_asked_plainly_is_above_chance_and_far_under_what_it_knows(name, model, tokenizer):
    """What it knows shows when the reader is announced as careful, in words of the pre-training text."""
    zero_shot = answers(model, tokenizer, name, "")
    # Four standard errors of an accuracy of one half on 500 rows.
    assert zero_shot > 1 / len(CARDS[name].words) + 4 * (0.25 / 500) ** 0.5
    assert answers(model, tokenizer, name, "careful exact patient wise attentive critic : ") > zero_shot + 0.2
