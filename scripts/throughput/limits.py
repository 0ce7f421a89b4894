"""What a population costs beyond plain inference, and the limit that this sets."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from throughput.setting import RANK, SOFT_TOKENS, Setting

PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12}  # dense bfloat16, of the data sheets


@dataclass(frozen=True)
class Machine:
    """Rates that were measured here: FLOP/s of a large product, bytes/s of a copy, normal numbers/s."""

    flops: float
    bytes: float
    normals: float
    peak: float

    @classmethod
    def measured(cls, device: torch.device, dtype: torch.dtype) -> Machine:
        """The best of a few tries each."""
        size = 8192 if device.type == "cuda" else 1536
        a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
        flops = 2 * size**3 / best_seconds(lambda: a @ b, device)
        large = torch.empty(2**26, device=device)
        copied = torch.empty_like(large)
        rate = 2 * large.nbytes / best_seconds(lambda: copied.copy_(large), device)
        part = torch.empty(2**20, device=device)
        threads = 1 if device.type == "cuda" else torch.get_num_threads()
        normals = threads * len(part) / best_seconds(lambda: part.normal_(), device)
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
        known = [peak for key, peak in PEAKS.items() if key in name and dtype == torch.bfloat16]
        return cls(flops, rate, normals, known[0] if known else flops)


@dataclass(frozen=True)
class Limit:
    """Beyond plain inference, for one population."""

    plain_flops: float
    flops: float
    bytes: float
    normals: float

    def ratio(self, plain_seconds: float, machine: Machine) -> float:
        """Speed relative to plain inference if each of these took its time at the machine's full rate."""
        extra = self.flops / (self.plain_flops / plain_seconds)
        extra += self.bytes / machine.bytes + self.normals / machine.normals
        return plain_seconds / (plain_seconds + extra)


def limit(setting: Setting) -> Limit:
    """The least that is beyond plain inference.

    LoRA and low-rank: their two products, and reading inputs and outputs once more. Dense: the center read
    and the member's weights written, and the draws; of mirrored pairs one for two members. Prompt: draws
    only, less the positions of the soft prompt that are computed once for all rows of a member.
    """
    model = setting.model
    plain = setting.positions * model.flops_per_token(setting.tokens)
    size = model.dtype.itemsize
    matrices = [
        (b.rows, b.row_size)
        for b in setting.parts[1].blocks
        if len(b.shape) == 2 and b.kind == "matrix" and "lora" not in b.name
    ]
    blocks = setting.parts[1].size
    directions = setting.population if setting.tuning == "dense one-sided" else setting.population // 2
    if setting.tuning == "prompt":
        saved = setting.population * (setting.rows - 1) * SOFT_TOKENS
        return Limit(plain, -saved * model.flops_per_token(setting.tokens), 0.0, directions * blocks)
    if setting.tuning == "lora":
        pairs = [b.shape for b in setting.parts[1].blocks]
        thin = sum(max(shape) for shape in pairs)
        return Limit(
            plain,
            2.0 * RANK * thin * setting.positions,
            2.0 * thin * setting.positions * size / 2,
            directions * blocks,
        )
    if setting.tuning == "low-rank":
        thin = sum(rows + columns for rows, columns in matrices)
        vectors = sum(b.rows for b in setting.parts[1].blocks if b.kind == "vector")
        numbers = thin + vectors + sum(sum(b.shape) for b in setting.parts[1].blocks if b.kind == "embedding")
        return Limit(
            plain, 2.0 * thin * setting.positions, thin * setting.positions * size, directions * numbers
        )
    return Limit(plain, 0.0, 2.0 * setting.population * blocks * size, directions * blocks)


def best_seconds(call, device: torch.device, tries: int = 7) -> float:  # type: ignore[no-untyped-def]
    """Least seconds of a few calls, synchronised with the device."""
    found = []
    for _ in range(tries):
        begin = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        found.append(time.perf_counter() - begin)
    return min(found)
