"""In which ways every case is run, by number of ranks."""

WAYS: dict[int, dict[str, dict[str, object]]] = {
    1: {
        "alone": {},
        "alone pushed": {"delivery": "push"},
        "alone pulled in pieces": {"delivery": "pull", "pieces": [0.01, 0.37, 0.371, 0.8, 1.0]},
        "alone packed": {"storage": "packed"},
        "alone explicit": {"storage": "explicit", "partition": "contiguous"},
        "alone procedural": {"storage": "procedural"},
    },
    2: {
        "two": {},
        "two explicit pushed": {"storage": "explicit", "delivery": "push"},
        "two packed pulled": {"storage": "packed", "delivery": "pull", "partition": "contiguous"},
    },
    3: {"three pushed in pieces": {"delivery": "push", "pieces": [0.13, 0.5, 0.505, 1.0]}},
    4: {"four procedural": {"storage": "procedural", "partition": "contiguous"}},
    7: {"seven": {}},
}
REFERENCE = "alone"
