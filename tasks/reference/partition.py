"""Which sentences may be seen where: every sentence has exactly one home, found from its text alone.

No list of sentences is kept: the pre-training text and the splits are disjoint however much of each is
drawn.
"""

from __future__ import annotations

from hashlib import blake2b

PARTITIONS = ("pretraining", "train", "dev", "test")
_SHARES = 10


def partition(sentence: str) -> str:
    """The home of a sentence: one in ten each for train, dev and test, the others for pre-training.

    >>> partition("the plot was not dull") == partition("the plot was not dull")
    True
    """
    share = int.from_bytes(blake2b(sentence.encode(), digest_size=8).digest(), "big") % _SHARES
    return PARTITIONS[share] if share < len(PARTITIONS) else PARTITIONS[0]
