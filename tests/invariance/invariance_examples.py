"""Examples at sizes at which people run them, and in which ways they are run."""

from invariance_cases import Case

from distsnn.examples import brette_cuba, brunel, microcircuit

EXAMPLES: dict[str, Case] = {
    "microcircuit": lambda folder: (microcircuit.build(0.1), 150.0),
    "brunel": lambda folder: (brunel.build(), 50.0),
    "brette_cuba": lambda folder: (brette_cuba.build(), 150.0),
}

EXAMPLE_WAYS: dict[int, dict[str, dict[str, object]]] = {
    1: {"example alone": {"save": [1.0]}},
    2: {
        "example on two, packed and pushed": {"storage": "packed", "delivery": "push"},
        "example on two, pulled in pieces": {"delivery": "pull", "pieces": [0.01, 0.4, 0.402, 1.0]},
    },
    3: {"example on three, procedural": {"storage": "procedural", "partition": "graph"}},
    4: {
        "example on four, explicit and pulled": {
            "storage": "explicit",
            "delivery": "pull",
            "save": [1.0],
        }
    },
    7: {"example on seven, pushed in pieces": {"delivery": "push", "pieces": [0.3, 0.7, 1.0]}},
}
EXAMPLE_REFERENCE = "example alone"
