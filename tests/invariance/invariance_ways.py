"""The ways in which cases are run, by number of ranks, and which pairs the default suite runs.

All cases in all ways are 15 simulations a case. The default suite runs a covering array of them:
every case on one rank (the reference), in every storage, with either delivery, on 1, 2, 3 and 4
ranks, in pieces, and saved and resumed on other ranks. CI runs all pairs.
"""

import pytest

WAYS: dict[int, dict[str, dict[str, object]]] = {
    1: {
        "alone": {"save": [1.0]},
        "alone pushed": {"delivery": "push"},
        "alone pulled in pieces": {"delivery": "pull", "pieces": [0.01, 0.37, 0.371, 0.8, 1.0]},
        "alone packed": {"storage": "packed"},
        "alone explicit": {"storage": "explicit", "partition": "contiguous"},
        "alone procedural": {"storage": "procedural"},
    },
    2: {
        "two": {},
        "two explicit pushed": {"storage": "explicit", "delivery": "push", "save": [1.0]},
        "two packed pulled": {"storage": "packed", "delivery": "pull", "partition": "graph"},
    },
    3: {
        "three pushed in pieces": {
            "delivery": "push",
            "pieces": [0.13, 0.5, 0.505, 1.0],
            "partition": "population",
        }
    },
    4: {"four procedural": {"storage": "procedural", "partition": "graph", "save": [1.0]}},
    7: {"seven": {}},
}
REFERENCE = "alone"

# One run in three attempts on different ranks, the first two given up some time after they were
# saved: (ranks, options).
CHAIN: list[tuple[int, dict[str, object]]] = [
    (1, {"pieces": [0.31, 0.4], "save": [0.31], "give up": True}),
    (
        3,
        {
            "pieces": [0.35, 0.6, 0.601],
            "save": [0.35, 0.6],
            "give up": True,
            "resume": True,
            "delivery": "push",
            "partition": "contiguous",
        },
    ),
    (2, {"pieces": [0.602, 1.0], "save": [1.0], "resume": True, "storage": "explicit"}),
]
CHAINED = "chained"

RANKS = {way: ranks for ranks, ways in WAYS.items() for way in ways}
# The chain brings 1 and 3 ranks, push delivery and explicit storage.
_EVERY_CASE = {REFERENCE, "two packed pulled", "four procedural"}
# Three of the seven ranks own nothing; a step's spikes overflow the fixed message; ranks with
# every delay between them; synapses that learn.
_ON_SEVEN = {
    *("areas", "fewer_blocks_than_ranks", "one_neuron", "plastic_synapses"),
    "thousands_of_spikes_in_a_step",
}


def pair(way: str, case: str) -> object:
    """Return a parameter (way, case), marked ``ci`` if it is not in the covering array."""
    covered = way in _EVERY_CASE or (way == "seven" and case in _ON_SEVEN)
    return pytest.param(way, case, marks=() if covered else pytest.mark.ci)
