"""A follower as a process: it reads messages from its standard input and answers on its standard output.

``python -m harness.running.sharding.follower`` is started by ``ProcessLink``, and by nobody else.
"""

from __future__ import annotations

import os
import sys
import threading
import traceback
from queue import SimpleQueue
from typing import IO, Any

from harness.running.plan import builder_of
from harness.running.runner import Workshop
from harness.running.sharding.links import read_message, write_message
from harness.running.sharding.messages import decoded, encoded
from harness.running.sharding.replica import Replica
from harness.running.sweep_file import Sweep


def greeting(sweep: Sweep) -> bytes:
    """The first message to a follower: the sweep, and how many threads its leader computes with."""
    import torch

    return encoded("sweep", sweep=sweep.to_dict(), threads=torch.get_num_threads())


def greeted(message: bytes) -> Replica:
    """The replica of a sweep, on the device that the sweep names, or that ``auto`` means here."""
    import torch

    content = decoded(message)
    torch.set_num_threads(content["threads"])  # of which some digits depend
    return Replica(Workshop.of(builder_of(Sweep.from_dict(content["sweep"]))))


def main() -> None:
    """Act on messages until there are no more."""
    output: Any = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a plugin prints is no answer
    messages: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_read, args=(sys.stdin.buffer, messages), daemon=True).start()
    try:
        replica = greeted(messages.get())
        while True:
            answer = replica.act(messages.get())
            if answer is not None:
                write_message(output, answer)
    except BaseException:
        traceback.print_exc()
        os._exit(1)  # an orderly end would wait for the thread that reads


def _read(file: IO[bytes], messages: SimpleQueue[bytes]) -> None:
    while (message := read_message(file)) is not None:
        messages.put(message)
    os._exit(0)  # the leader has ended: at once, whatever is being evaluated


if __name__ == "__main__":
    main()
