"""Algorithms that do what none should, as a distribution of their own would bring them."""

import ctypes
import os
import random
import signal
import sys
import time

import numpy as np
import torch

from harness import Algorithm, Points


class Walk(Algorithm):
    """Well-behaved until its ninth evaluation, when ``misbehave`` is called in every ask."""

    def __init__(self, space, budget, seed):
        super().__init__(space, budget, seed)
        self.center = torch.zeros(1, space.size)
        self.asked = 0

    def ask(self, remaining):
        self.asked += 1
        if self.asked > 2:
            self.misbehave()
        n = min(4, remaining)
        return Points(self.center + torch.randn(n, self.space.size, generator=self.generator))

    def tell(self, population, losses, gradients=None):
        self.center = population.values[losses.argmin()].reshape(1, -1).clone()

    def best(self):
        return Points(self.center.clone())

    def misbehave(self):
        """Nothing."""


class Killer(Walk):
    def misbehave(self):
        os.kill(os.getpid(), signal.SIGKILL)


class Crasher(Walk):
    def misbehave(self):
        ctypes.string_at(0)


class Leaver(Walk):
    def misbehave(self):
        os._exit(0)


class Exiter(Walk):
    def misbehave(self):
        sys.exit(3)


class Hanger(Walk):
    def misbehave(self):
        time.sleep(3600)


class Leaker(Walk):
    def misbehave(self):
        self.kept = [*getattr(self, "kept", []), torch.ones(2**27)]  # half a GiB


class Printer(Walk):
    def misbehave(self):
        print('{"done": true}', flush=True)
        os.write(1, b"straight to the file\n")


class Severer(Walk):
    def misbehave(self):
        os.closerange(3, 64)  # the line to its supervisor among them
        time.sleep(3600)


class Forker(Walk):
    def misbehave(self):
        os.fork()  # and both go on


class Meddler(Walk):
    def ask(self, remaining):
        points = super().ask(remaining)
        torch.set_default_device("meta")
        torch.set_float32_matmul_precision("medium")
        torch.use_deterministic_algorithms(True)
        np.seterr(all="raise")
        os.chdir("/")
        return points

    def misbehave(self):
        torch.manual_seed(0)
        np.random.seed(0)
        random.seed(0)
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
