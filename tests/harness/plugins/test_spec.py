"""Names with options: read, written canonically, and refused with the place and the remedy."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.core import UserError
from harness.plugins.spec import Spec, TaskSpec, parse_task, split_list

TROUBLE = st.text(st.sampled_from("ab=,/[]'\" \n\\"))
NAMES = (st.text() | TROUBLE).filter(bool)
KEYS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,3}", fullmatch=True)
OPTIONS = st.dictionaries(KEYS, st.text() | TROUBLE, max_size=3).map(lambda each: tuple(each.items()))
SPECS = st.builds(Spec, NAMES, OPTIONS)
TUNINGS = SPECS.filter(lambda spec: "objective" not in dict(spec.options))


def refusal(read, text):
    """What a text is refused with; nothing where it can be read."""
    try:
        read(text)
    except UserError as error:
        return str(error)
    return ""


@given(SPECS)
def test_what_is_written_is_read_back_as_the_same(spec):
    assert Spec.parse(str(spec)) == spec


@given(SPECS, SPECS, TUNINGS, st.none() | st.text())
def test_a_task_that_is_written_is_read_back_as_the_same(dataset, model, tuning, objective):
    spec = TaskSpec(dataset, model, tuning, objective)
    assert parse_task(str(spec)) == spec


@given(st.lists(SPECS, min_size=1, max_size=4))
def test_a_list_that_is_joined_by_commas_is_split_into_the_same(specs):
    assert split_list(",".join(map(str, specs))) == [str(spec) for spec in specs]


@given(st.text() | TROUBLE)
@example("a[b='c]")
@example("[")
@example("]")
@example('""')
def test_any_text_is_read_or_refused_with_one_line(text):
    for read in (Spec.parse, parse_task, TaskSpec.parse, split_list):
        assert len(refusal(read, text).splitlines()) <= 1


@given(st.text() | TROUBLE)
def test_the_canonical_form_of_what_can_be_read_is_stable(text):
    try:
        canonical = str(Spec.parse(text))
    except UserError:
        return
    assert str(Spec.parse(canonical)) == canonical


def test_options_are_put_in_the_order_of_their_keys():
    assert str(Spec.parse("openai-es[ sigma = 0.02 ,population=32]")) == "openai-es[population=32,sigma=0.02]"
    assert Spec.parse("a[y=1,x=2]") == Spec.parse("a[x=2,y=1]")


def test_empty_brackets_are_no_options():
    assert str(Spec.parse("random[]")) == "random"


def test_brackets_nest_and_protect_commas():
    spec = Spec.parse("hybrid[first=cemcts[depth=3,width=2],rest=[a,b]]")
    assert dict(spec.options) == {"first": "cemcts[depth=3,width=2]", "rest": "[a,b]"}
    assert str(spec) == "hybrid[first=cemcts[depth=3,width=2],rest=[a,b]]"


def test_quotes_protect_everything_and_are_doubled_inside():
    assert dict(Spec.parse("""files[template="{text}, it ""was"" ["]""").options) == {
        "template": '{text}, it "was" ['
    }
    assert dict(Spec.parse("a[b='it''s']").options) == {"b": "it's"}
    assert str(Spec.parse("a['b']".replace("['b']", "[b='c']"))) == "a[b=c]"


@pytest.mark.parametrize(
    ("text", "dataset", "model", "tuning"),
    [
        ("boolq/facebook/opt-1.3b/full", "boolq", "facebook/opt-1.3b", "full"),
        ("sst2/roberta-large/lora[rank=4]", "sst2", "roberta-large", "lora[rank=4]"),
        ("sst2//models/opt/prompt", "sst2", "/models/opt", "prompt"),
        ("news[train=a/b.csv]/m[path=c/d]/full", "news[train=a/b.csv]", "m[path=c/d]", "full"),
        ('"a/b"/"c,d"/full', "a/b", '"c,d"', "full"),
    ],
)
def test_the_model_is_all_between_the_data_set_and_the_tuning(text, dataset, model, tuning):
    spec = TaskSpec.parse(text)
    assert [str(spec.dataset), str(spec.model), str(spec.tuning)] == [dataset, model, tuning]
    assert str(spec) == text


def test_the_objective_is_taken_out_of_the_tunings_options_and_written_back():
    spec = TaskSpec.parse("sst2/roberta-large/prompt[tokens=50,objective=accuracy]")
    assert spec.objective == "accuracy"
    assert spec.tuning == Spec("prompt", (("tokens", "50"),))
    assert str(spec) == "sst2/roberta-large/prompt[objective=accuracy,tokens=50]"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "'': the name is empty; write a name"),
        ("[sigma=1]", "'[sigma=1]': the name is empty"),
        ("a[b=1", "'a[b=1': the '[' at character 2 is never closed; add ']'"),
        ("a]b", "'a]b': the ']' at character 2 closes nothing; remove it"),
        ("a[b=1]c", "'a[b=1]c': 'c' stands behind the closing bracket; remove it"),
        ("a[b='1]", "\"a[b='1]\": the ' at character 5 is never closed; close or remove it"),
        ("a[b]", "'a[b]': 'b' is no option; write key=value"),
        ("a[b=1,]", "'a[b=1,]': '' is no option; write key=value"),
        ("a[b=]", "'a[b=]': option 'b' has no value; write b=value"),
        ("a[b=1,b=2]", "'a': option 'b' is given twice; keep one"),
        ("a[1b=2]", "'a[1b=2]': '1b=2' is no option; write key=value"),
        ("sigma=1", "'sigma=1': '=' stands in the name 'sigma=1'; options stand in brackets"),
        ("a[b='x'y]", "\"a[b='x'y]\": a quote ends before its text does; put all of it in quotes"),
    ],
)
def test_bad_text_is_refused_with_the_text_the_place_and_the_remedy(text, said):
    with pytest.raises(UserError) as caught:
        Spec.parse(text)
    assert str(caught.value).startswith(said)


def test_a_task_of_two_parts_is_refused():
    with pytest.raises(
        UserError, match=r"'sst2/lora': a text task has three parts; write dataset/model/tuning"
    ):
        parse_task("sst2/lora")


def test_an_empty_part_of_a_list_is_refused():
    with pytest.raises(UserError, match=r"'a,,b': part 2 of the list is empty; remove a comma"):
        split_list("a,,b")
