"""Random damage of JSON: a value replaced, removed or added, anywhere in it."""

import copy
from typing import Any

from hypothesis import strategies as st

# What may stand where something else is expected; some of it means something to a decoder.
STRANGE: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 0.5, 1e308, 10**12, 10**18, 2**63, 10**400),
    *("", "x", "../x", "/etc/passwd", "NaN", [], [0], [[1]], {}, {"a": 1}),
    *({"$float": "nan"}, {"float": "x"}, {"float": []}, {"float": "nan"}),
    *({"array": "x"}, {"array": []}, {"array": {}}, {"map": []}, {"map": {"a": 1}}),
    *({"is": "Network", "fields": []}, {"is": [], "fields": {}}, {"is": "Rule", "fields": {}}),
    *({"model": [], "fields": {}}, {"model": "iaf_psc_exp", "fields": {}}),
    *({"is": "Network", "fields": {"populations": []}}, {"is": "Normal", "fields": {"mean": 1}}),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all values within a value."""
    found = [path] if path else []
    items = enumerate(value) if isinstance(value, list) else ()
    for key, item in value.items() if isinstance(value, dict) else items:
        found += places(item, (*path, key))
    return found


def corrupt(draw: Any, value: Any) -> Any:
    """Return a copy of JSON data with one value replaced, removed or added."""
    made = copy.deepcopy(value)
    path = draw(st.sampled_from(places(made)))
    node = made
    for key in path[:-1]:
        node = node[key]
    how = draw(st.integers(0, 9))
    if how == 9:
        del node[path[-1]]
    elif how == 8 and isinstance(node, dict):
        node[draw(st.sampled_from(["x", "fields", "is", "array", "float", ""]))] = draw(
            st.sampled_from(STRANGE)
        )
    else:
        node[path[-1]] = draw(st.sampled_from(STRANGE))
    return made


def cut_or_flipped(draw: Any, content: bytes) -> bytes:
    """Return bytes of which some are others, or the end is missing."""
    made = bytearray(content)
    if draw(st.booleans()):
        return bytes(made[: draw(st.integers(0, len(made) - 1))])
    # each at most once, or the second time might undo the first
    at = st.lists(st.integers(0, len(made) - 1), min_size=1, max_size=3, unique=True)
    for one in draw(at):
        made[one] ^= draw(st.integers(1, 255))
    return bytes(made)
