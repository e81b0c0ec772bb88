"""In which ways every case is run, by number of ranks."""

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
