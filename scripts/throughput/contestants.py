"""Ways to evaluate a population: each returns the label words' logits ``[n, R, 2]`` on the CPU."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from tasks.tuning.lora import LoRATuning
from throughput.setting import RANK, SIGMA, Setting


class LeftOutError(Exception):
    """Why a way is not measured here."""


class Way(ABC):
    """One way to evaluate the population of a setting.

    ``tunings`` are those it applies to. The constructor makes ready what is not measured.
    """

    tunings: ClassVar[tuple[str, ...]] = ("prompt", "lora", "low-rank", "dense", "dense one-sided")

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.model = setting.model.model
        self.device = setting.model.device

    @abstractmethod
    def run(self, generation: int) -> Tensor:
        """Logits of the population of that generation, noise drawn on the way."""

    def _answers(self, logits: Tensor) -> Tensor:
        return logits[:, -1, self.setting.words.to(logits.device)]

    @property
    def _ids(self) -> Tensor:
        return self.setting.minibatch.ids.to(self.device)


class Plain(Way):
    """The unchanged model, in chunks of rows, logits at the answer position only: the measure of all others.

    The same rows for each member, and as many positions: where a soft prompt would stand, text.
    """

    def __init__(self, setting: Setting, chunk: int) -> None:
        super().__init__(setting)
        self.chunk = chunk
        generator = torch.Generator().manual_seed(2)
        shape = (setting.population * setting.rows, setting.tokens)
        self.ids = torch.randint(10, int(setting.model.config.vocab_size), shape, generator=generator)

    def run(self, generation: int) -> Tensor:
        found = []
        for ids in self.ids.to(self.device).split(self.chunk):
            logits = self.model(input_ids=ids, use_cache=False, logits_to_keep=1).logits
            found.append(self._answers(logits))
        return torch.cat(found).cpu().reshape(self.setting.population, self.setting.rows, -1)


class Ours(Way):
    """The house's batched forward."""

    def run(self, generation: int) -> Tensor:
        return torch.stack(self.setting.batches.run(self.setting.members(generation)))


class OneByOne(Way):
    """One candidate after another: its soft prompt, its adapters or its own copy of the weights."""

    def run(self, generation: int) -> Tensor:
        asked, batches = self.setting.asked(generation), self.setting.batches
        alone = [batches.run_alone(asked[i : i + 1], self.setting.minibatch) for i in range(len(asked))]
        return torch.stack(alone)


class InPlace(Way):
    """The loop of MeZO: the weights are moved along a seeded draw, evaluated, moved back; drawn each time."""

    tunings = ("dense",)

    def run(self, generation: int) -> Tensor:
        found = []
        for pair in range(self.setting.population // 2):
            for step in (1.0, -2.0):
                self._move(generation, pair, step)
                logits = self.model(input_ids=self._ids, use_cache=False, logits_to_keep=1).logits
                found.append(self._answers(logits).cpu())
            self._move(generation, pair, 1.0)
        return torch.stack(found)

    def _move(self, generation: int, pair: int, step: float) -> None:
        generator = torch.Generator(self.device).manual_seed(1000 * generation + pair)
        blocks = self.setting.parts[1].blocks
        for block in blocks:
            weight = self.setting.model.parameters[block.name]
            noise = torch.randn(weight.shape, generator=generator, device=self.device, dtype=weight.dtype)
            weight.add_(noise, alpha=step * SIGMA * block.scale)


class Mapped(Way):
    """``torch.func.vmap`` over stacked soft prompts, or stacked weights (adapters merged into them)."""

    def run(self, generation: int) -> Tensor:
        parameters = self.setting.written_out(generation)
        ids = self._ids
        if self.setting.tuning == "prompt":
            embedded = self.setting.model.embedding(ids)

            def one_prompt(prompt: Tensor) -> Tensor:
                rows = torch.cat([prompt.expand(len(ids), *prompt.shape), embedded], dim=1)
                return self._answers(self.model(inputs_embeds=rows, use_cache=False, logits_to_keep=1).logits)

            return vmap(one_prompt)(parameters["prompt"].to(embedded.dtype)).cpu()

        def one(weights: Mapping[str, Tensor]) -> Tensor:
            inputs = {"input_ids": ids, "use_cache": False, "logits_to_keep": 1}
            return self._answers(functional_call(self.model, dict(weights), (), inputs).logits)

        return vmap(one)(self._weights(parameters)).cpu()

    def _weights(self, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
        if self.setting.tuning != "lora":
            return dict(parameters)
        layers = [name.removesuffix(".lora_A") for name in parameters if name.endswith(".lora_A")]
        return {
            f"{layer}.weight": torch.baddbmm(
                self.setting.model.parameters[f"{layer}.weight"],
                parameters[f"{layer}.lora_B"].to(self.setting.model.dtype),
                parameters[f"{layer}.lora_A"].to(self.setting.model.dtype),
            )
            for layer in layers
        }


class Switched(Way):
    """PEFT's LoRA adapters, one per member, written and switched on one after another."""

    tunings = ("lora",)

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        try:
            self.peft: Any = importlib.import_module("peft")
        except ImportError as error:
            raise LeftOutError("peft is not installed") from error
        assert isinstance(setting.parts[0], LoRATuning)

    def run(self, generation: int) -> Tensor:
        parameters = self.setting.written_out(generation)
        found = []
        with self._wrapped() as wrapped:
            layers = {
                name.removeprefix("base_model.model."): module
                for name, module in wrapped.named_modules()
                if hasattr(module, "lora_A")
            }
            for i in range(self.setting.population):
                wrapped.set_adapter(f"member{i}")
                for name, layer in layers.items():
                    layer.lora_A[f"member{i}"].weight.copy_(parameters[f"{name}.lora_A"][i])
                    layer.lora_B[f"member{i}"].weight.copy_(parameters[f"{name}.lora_B"][i])
                logits = wrapped(input_ids=self._ids, use_cache=False, logits_to_keep=1).logits
                found.append(self._answers(logits).cpu())
        return torch.stack(found)

    @contextmanager
    def _wrapped(self) -> Iterator[Any]:
        """The model with its adapters; made once, put in front of the model's own layers while it runs."""
        if not hasattr(self, "_kept"):
            layers = {name.rpartition(".")[0] for name in self.setting.written_out(0)}
            config = self.peft.LoraConfig(r=RANK, lora_alpha=RANK, target_modules=sorted(layers))
            before = {name: module for name, module in self.model.named_modules() if name in layers}
            wrapped = self.peft.get_peft_model(self.model, config, adapter_name="member0")
            for i in range(1, self.setting.population):
                wrapped.add_adapter(f"member{i}", config)
            after = {name: wrapped.base_model.model.get_submodule(name) for name in before}
            self._kept = wrapped.eval(), before, after
            self._put(before)
        wrapped, before, after = self._kept
        self._put(after)
        try:
            yield wrapped
        finally:
            self._put(before)

    def _put(self, layers: Mapping[str, nn.Module]) -> None:
        for name, layer in layers.items():
            parent, _, child = name.rpartition(".")
            setattr(self.model.get_submodule(parent), child, layer)


WAYS: dict[str, type[Way]] = {
    "ours": Ours,
    "one by one": OneByOne,
    "in place": InPlace,
    "vmap": Mapped,
    "peft": Switched,
}
