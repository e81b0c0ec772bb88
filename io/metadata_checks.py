"""What a run's attributes say of themselves: tables that other parts of the reader rely on.

The schema knows kinds of attributes; here is what must hold within and between them, so that a
damaged or malicious file is told as such and nothing is allocated by what it claims.
"""

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from distsnn.errors import StoreError
from distsnn.io.intervals import read_intervals
from distsnn.io.schema import check_component

# The limits of `distsnn.network`, which readers of stores do without.
MAX_NEURONS = 2**31
MAX_DELAY_STEPS = 65535
# A job that is requeued every minute for a month.
MAX_ATTEMPTS = 2**16
# More than any machine has cores.
MAX_RANKS = 2**20
# Steps are counted in 31 bits, and every time of a run is one.
LAST_STEP = 2**31 - 1
# What a rank counts, and what of it by the rank of the source.
_COUNTED = (
    *("steps", "epoch_steps", "neurons", "events", "spikes"),
    *("exchanges", "received_spikes", "received_bytes"),
)
# Counted since groups of ranks are known.
_COUNTED_IN_GROUPS = ("group_epoch_steps", "group_exchanges", "group_received_spikes")
_COUNTED_BY_RANK = ("sources", "synapses", "smallest_delay", "heard")


def check_run(metadata: Mapping[str, Any], *, path: str) -> None:
    """Check the root's tables.

    Raises
    ------
    StoreError
        If one of them cannot be.
    """
    _check_number(metadata["dt"], "dt", path, positive=True)
    _check_number(metadata["time_ms"], "time_ms", path)
    check_figures(metadata.get("wall", {}), "wall", path=path)
    settings = metadata.get("settings", {})
    if not (isinstance(settings, dict) and isinstance(settings.get("plastic_weights", {}), dict)):
        raise StoreError("damaged: settings", path=path)
    check_whole(metadata["n_steps"], "n_steps", path=path, high=LAST_STEP)
    check_whole(metadata["attempts"], "attempts", path=path, high=MAX_ATTEMPTS)
    check_paths(metadata["arrays"], "arrays", path=path)
    sizes: dict[str, int] = {}
    expected = 0
    for index, row in enumerate(_rows(metadata["populations"], "populations", path)):
        place = f"populations[{index}]"
        name = _name(row, "name", place, path)
        size = check_whole(row.get("size"), f"{place}.size", path=path, low=1, high=MAX_NEURONS)
        if row.get("first_gid") != expected or name in sizes:
            raise StoreError(f"damaged: {place} does not follow from the others", path=path)
        sizes[name], expected = size, expected + size
    if expected > MAX_NEURONS:
        raise StoreError(f"damaged: {expected} neurons", path=path)
    errors = _rows(metadata["quanta"].get("errors", []), "quanta.errors", path)
    for index, row in enumerate(errors):
        place = f"quanta.errors[{index}]"
        _name(row, "projection", place, path)
        figures = {key: row.get(key) for key in ("largest", "share", "part")}
        check_figures(figures, place, path=path)
    for index, row in enumerate(_rows(metadata["recorded_spikes"], "recorded_spikes", path)):
        _check_view(row, sizes, f"recorded_spikes[{index}]", path)
    for index, row in enumerate(_rows(metadata["recorded_states"], "recorded_states", path)):
        place = f"recorded_states[{index}]"
        _check_view(row, sizes, place, path)
        _component(_name(row, "name", place, path), f"{place}.name", path)
        check_variables(row.get("variables"), f"{place}.variables", path=path)
        check_whole(row.get("every"), f"{place}.every", path=path, low=1, high=LAST_STEP)
    weights = _rows(metadata.get("recorded_weights", []), "recorded_weights", path)
    for index, row in enumerate(weights):
        place = f"recorded_weights[{index}]"
        _component(_name(row, "name", place, path), f"{place}.name", path)
        _name(row, "projection", place, path)
        check_whole(row.get("synapses"), f"{place}.synapses", path=path, high=2**62)
        check_variables(row.get("variables"), f"{place}.variables", path=path)
        check_whole(row.get("every"), f"{place}.every", path=path, low=1, high=LAST_STEP)


def check_attempt(attributes: Mapping[str, Any], *, path: str) -> None:
    """Check an attempt's numbers and its list of recordings (StoreError if they cannot be)."""
    check_whole(attributes["ranks"], "ranks", path=path, low=1, high=MAX_RANKS)
    check_whole(attributes["first_step"], "first_step", path=path, high=LAST_STEP)
    check_whole(attributes.get("saved", 0), "saved", path=path, high=2**62)
    check_paths(attributes.get("recordings", []), "recordings", path=path)
    read_intervals(attributes, path=path)


def check_rank(attributes: Mapping[str, Any], ranks: int, *, path: str) -> None:
    """Check what one of some ranks noted of itself (StoreError if it cannot be)."""
    for name in ("timing", "memory"):
        check_figures(attributes.get(name, {}), name, path=path)
    _check_counted(attributes.get("counted", {}), ranks, path)


def _check_counted(counted: Mapping[str, Any], ranks: int, path: str) -> None:
    """Check what a rank says it counted: whole numbers, and lists of one for each rank."""
    lists = [name for name in _COUNTED_BY_RANK if name in counted]
    for name in _COUNTED if counted else ():
        check_whole(counted.get(name), f"counted.{name}", path=path, high=2**62)
    for name in _COUNTED_IN_GROUPS:
        check_whole(counted.get(name, 0), f"counted.{name}", path=path, high=2**62)
    for name in _COUNTED_BY_RANK if lists else ():
        values = counted.get(name)
        if not isinstance(values, list) or len(values) != ranks:
            raise StoreError(f"damaged: counted.{name} is no list of {ranks}", path=path)
        for value in values:
            check_whole(value, f"counted.{name}", path=path, high=2**62)


def check_exit_report(attributes: Mapping[str, Any], *, path: str) -> None:
    """Check an exit report (StoreError if it is corrupt)."""
    check_whole(attributes["rank"], "rank", path=path, high=MAX_RANKS)
    check_whole(attributes.get("step", 0), "step", path=path, high=LAST_STEP)


def check_generation(attributes: Mapping[str, Any], *, path: str) -> None:
    """Check a checkpoint's attributes (StoreError if they cannot be)."""
    check_whole(attributes["step"], "step", path=path, high=LAST_STEP)
    check_whole(attributes["ranks"], "ranks", path=path, low=1, high=MAX_RANKS)
    check_whole(attributes["reach"], "reach", path=path, high=MAX_DELAY_STEPS)
    _check_number(attributes["run_s"], "run_s", path)
    if not all(isinstance(name, str) for name in attributes["scripted"]):
        raise StoreError("damaged: scripted is no list of names", path=path)
    for index, row in enumerate(_rows(attributes["fields"], "fields", path)):
        for key in ("population", "name", "owner", "dtype", "unit", "counted"):
            _name(row, key, f"fields[{index}]", path)
        check_whole(row.get("size"), f"fields[{index}].size", path=path, high=2**62)


def check_segments(attributes: Mapping[str, Any], *, path: str) -> None:
    """Check where a rank of a checkpoint says that its states are (StoreError if they cannot)."""
    for index, row in enumerate(_rows(attributes["segments"], "segments", path)):
        place = f"segments[{index}]"
        for key in ("population", "variable", "dtype"):
            _name(row, key, place, path)
        for key in ("first", "size"):
            check_whole(row.get(key), f"{place}.{key}", path=path, high=2**62)


def check_spikes(attributes: Mapping[str, Any], *, path: str) -> None:
    """Check the commit of a rank's spikes (StoreError if it cannot be)."""
    check_whole(attributes["committed"], "committed", path=path, high=2**62)
    for name in ("committed_step", "last_spike_step"):
        check_whole(attributes[name], name, path=path, low=-1, high=LAST_STEP)
    check_whole(attributes["index_stride"], "index_stride", path=path, low=1, high=2**62)


def check_state(attributes: Mapping[str, Any], *, path: str) -> None:
    """Check one rank's part of a state recording (StoreError if it cannot be)."""
    check_whole(attributes["committed_rows"], "committed_rows", path=path, high=LAST_STEP)
    check_whole(attributes["committed_step"], "committed_step", path=path, low=-1, high=LAST_STEP)
    check_whole(attributes["first_step"], "first_step", path=path, high=2**32)
    check_whole(attributes["every"], "every", path=path, low=1, high=LAST_STEP)
    check_variables(attributes["variables"], "variables", path=path)


def check_whole(value: Any, name: str, *, path: str, low: int = 0, high: int) -> int:
    """Return a whole number within [low, high] (StoreError for anything else)."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        shown = value if len(repr(value)) <= 60 else type(value).__name__
        what = f"damaged: {name} is {shown!r}, must be a whole number, {low} to {high}"
        raise StoreError(what, path=path)
    return value


def check_variables(value: Any, name: str, *, path: str) -> None:
    """Raise StoreError unless `value` is a list of names of variables."""
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
        raise StoreError(f"damaged: {name} is no list of names", path=path)
    for one in value:
        _component(one, name, path)


def check_paths(value: Any, name: str, *, path: str) -> None:
    """Raise StoreError unless `value` is a list of paths inside a group."""
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise StoreError(f"damaged: {name} is no list of paths", path=path)
    for one in value:
        for component in one.split("/"):
            _component(component, name, path)


def check_figures(value: Mapping[str, Any], name: str, *, path: str) -> None:
    """Raise StoreError unless all values of a table are numbers."""
    for key, one in value.items():
        good = isinstance(one, float) or (isinstance(one, int) and not isinstance(one, bool))
        if not good or (isinstance(one, int) and abs(one) >= 2**63):
            raise StoreError(f"damaged: {name}.{key} is no number", path=path)


def _rows(value: Any, name: str, path: str) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise StoreError(f"damaged: {name} is no table", path=path)
    return value


def _name(row: Mapping[str, Any], key: str, place: str, path: str) -> str:
    value = row.get(key)
    if not isinstance(value, str):
        raise StoreError(f"damaged: {place}.{key} is no name", path=path)
    return value


def _component(name: str, place: str, path: str) -> str:
    # What becomes part of a path must not lead out of its group.
    try:
        return check_component(name, where=place)
    except ValueError as error:
        raise StoreError(f"damaged: {error}", path=path) from error


def _check_view(row: Mapping[str, Any], sizes: Mapping[str, int], place: str, path: str) -> None:
    name = _name(row, "population", place, path)
    if name not in sizes:
        raise StoreError(f"damaged: {place} is of no population", path=path)
    start = check_whole(row.get("start"), f"{place}.start", path=path, high=sizes[name])
    stop = check_whole(row.get("stop"), f"{place}.stop", path=path, low=start + 1, high=sizes[name])
    if "neurons" in row:
        listed = row["neurons"]
        whole = isinstance(listed, list) and all(type(one) is int for one in listed)
        if not whole or not listed or listed[0] != start or listed[-1] != stop - 1:
            raise StoreError(f"damaged: {place}.neurons are not those of its range", path=path)
        if not all(left < right for left, right in pairwise(listed)):
            raise StoreError(f"damaged: {place}.neurons are not in ascending order", path=path)


def _check_number(value: Any, name: str, path: str, *, positive: bool = False) -> None:
    try:
        good = math.isfinite(value) and (value > 0 if positive else value >= 0)
    except (OverflowError, TypeError):  # a whole number beyond all floats; a tagged one
        good = False
    if not good:
        raise StoreError(f"damaged: {name} is no {'step' if positive else 'time'}", path=path)
