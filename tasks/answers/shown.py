"""Questions after examples: rows of the training split with their answers."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.answers.data import AnswerData
from tasks.answers.encoding import AnswerEncoding
from tasks.families.causal import Causal
from tasks.families.vocabulary import open_ids
from tasks.language_model import LanguageModel
from tasks.untuned.fitting import fitting

BETWEEN = Causal.between or ""


class ShownEncoding(AnswerEncoding):
    """Rows as token ids, each prompt after as many examples as fit.

    Questions are cut as they are without examples, and so are those of the examples. An example ends with
    its first answer and, unless a blank line does as well, what stops an answer.

    Args:
        data: rows and template.
        model: whose tokenizer.
        prefix: soft tokens for which room is kept.
        split: of the examples.
        numbers: of the examples, in their order.

    >>> from tasks.answers.data import AnswerRow
    >>> from tasks.reference.registered import reference
    >>> rows = [AnswerRow({"text": f"a {word} film"}, (word,)) for word in ("fine", "dull", "great")]
    >>> data = AnswerData("toy", {"train": rows, "test": rows}, "{text} is", "exact-match", new_tokens=4)
    >>> ShownEncoding(data, reference(), 0, "train", [1]).prompt("test", 0)
    'a dull film is dull\\n\\na fine film is'
    """

    def __init__(
        self, data: AnswerData, model: LanguageModel, prefix: int, split: str, numbers: Sequence[int]
    ) -> None:
        super().__init__(data, model, prefix)
        self.room = model.longest - prefix - 1 - data.new_tokens
        self.examples = [self._example(split, number) for number in numbers]
        around = len(open_ids(self.tokenizer, ""))
        self.lengths = [len(open_ids(self.tokenizer, example)) - around for example in self.examples]

    def prompt(self, split: str, number: int) -> str:
        """A row's question after its examples."""
        return self._prompt(split, number)[0]

    def count(self, split: str, number: int) -> int:
        """How many examples a row is shown."""
        question = super()._cut(split, number)[0]
        return fitting(self.lengths, self.room, lambda count: len(self._joined(question, count)[1]))

    def _example(self, split: str, number: int) -> str:
        question = super()._cut(split, number)[0]
        stop = self.data.stop or ""
        answer = self.data.splits[split][number].answers[0] + ("" if BETWEEN.startswith(stop) else stop)
        return question + answer if question.endswith("\n") else f"{question} {answer}"

    def _joined(self, question: str, count: int) -> tuple[str, list[int]]:
        text = BETWEEN.join([*self.examples[:count], question])
        return text, open_ids(self.tokenizer, text)

    def _cut(self, split: str, number: int) -> tuple[str, list[int]]:
        return self._joined(super()._cut(split, number)[0], self.count(split, number))
