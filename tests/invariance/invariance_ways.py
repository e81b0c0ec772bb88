"""The ways in which cases are run, by number of ranks, and which pairs the default suite runs.

All cases in all ways are 17 simulations a case. The default suite runs a sample of them: every
second case (but those whose kernels take long to compile) on one rank (the reference) and in one
other way: with procedural synapses, on two ranks, or on two ranks after one rank saved it (explicit
and pushed, then packed and pulled, in pieces); some cases on three ranks. CI runs all pairs.
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

# Runs in several attempts on different ranks, all but the last given up some time after they were
# saved: (ranks, options).
CHAINS: dict[str, list[tuple[int, dict[str, object]]]] = {
    "chained": [
        (
            1,
            {
                "pieces": [0.31, 0.4],
                "save": [0.31],
                "give up": True,
                "storage": "explicit",
                "delivery": "push",
            },
        ),
        (
            2,
            {
                "pieces": [0.32, 0.601, 1.0],
                "save": [1.0],
                "resume": True,
                "storage": "packed",
                "delivery": "pull",
                "partition": "graph",
            },
        ),
    ],
    "chained thrice": [
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
    ],
}

RANKS = {way: ranks for ranks, ways in WAYS.items() for way in ways}
# Which cases the default suite runs in a way: every n-th, from a first one.
_EVERY = {
    REFERENCE: (2, 0),
    "chained": (6, 0),
    "two": (6, 2),
    "alone procedural": (6, 4),
    "three pushed in pieces": (30, 0),
}
# Cases whose tests look at more than equal recordings.
_NOTABLE = {
    "two packed pulled": {"areas", "thousands_of_spikes_in_a_step"},
    "three pushed in pieces": {"plastic_synapses", "one_neuron"},
    "chained": {"brunels_network", "synapses_that_release"},
}
# Cases that CI alone runs: their many kernels take long to compile.
_CI_ONLY = {
    "models_of_equations",
    "neurons_integrated_in_parts",
    "rules_of_plasticity",
    "rules_by_any_wiring",
    "rules_that_follow_potentials",
    "several_spikes_of_equations",
}


def pair(way: str, case: str, index: int = 0) -> object:
    """Return a parameter (way, case), marked ``ci`` if it is not in the covering array.

    Parameters
    ----------
    way, case : str
        The names of both.
    index : int
        The number of the case.
    """
    covered = case in _NOTABLE.get(way, ())
    if way in _EVERY and case not in _CI_ONLY:
        every, first = _EVERY[way]
        covered = covered or index % every == first
    return pytest.param(way, case, marks=() if covered else pytest.mark.ci)
