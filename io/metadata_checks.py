"""Checks of a run's attributes on which other parts of the reader depend.

The schema defines the kinds of attributes; these functions check their values and relations, so
that a corrupt or malicious file is reported and does not determine the size of allocations.
"""

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from distsnn.errors import StoreError
from distsnn.io.intervals import read_intervals
from distsnn.io.schema import check_component

# The limits of `distsnn.network`, which readers of stores do not import.
MAX_NEURONS = 2**31
MAX_DELAY_STEPS = 65535
# A job that is requeued every minute for a month.
MAX_ATTEMPTS = 2**16
# More than any machine has cores.
MAX_RANKS = 2**20
# Steps have 31 bits.
LAST_STEP = 2**31 - 1
# Counters of a rank, in total and by the rank of the source.
_COUNTERS = (
    *("steps", "epoch_steps", "neurons", "synaptic_events", "own_spikes"),
    *("exchanges", "received_spikes", "received_bytes"),
)
# Counters of rank groups.
_COUNTERS_IN_GROUPS = ("group_epoch_steps", "group_exchanges", "group_received_spikes")
_COUNTERS_BY_RANK = ("sources", "synapses", "min_delay", "spikes_from_rank")


def check_run(metadata: Mapping[str, Any], *, path: str) -> None:
    """Check the tables of the root.

    Raises
    ------
    StoreError
        If a table is corrupt.
    """
    _check_number(metadata["dt"], "dt", path, positive=True)
    _check_number(metadata["target_time_ms"], "target_time_ms", path)
    check_numbers(metadata.get("wall_clock", {}), "wall_clock", path=path)
    settings = metadata.get("settings", {})
    if not (isinstance(settings, dict) and isinstance(settings.get("plastic_weights", {}), dict)):
        raise StoreError("corrupt: settings", path=path)
    check_integer(metadata["target_steps"], "target_steps", path=path, high=LAST_STEP)
    check_integer(metadata["attempts"], "attempts", path=path, high=MAX_ATTEMPTS)
    check_paths(metadata["arrays"], "arrays", path=path)
    sizes: dict[str, int] = {}
    expected = 0
    for index, row in enumerate(_rows(metadata["populations"], "populations", path)):
        place = f"populations[{index}]"
        name = _name(row, "name", place, path)
        size = check_integer(row.get("size"), f"{place}.size", path=path, low=1, high=MAX_NEURONS)
        if row.get("first_gid") != expected or name in sizes:
            raise StoreError(f"corrupt: {place} does not follow from the previous rows", path=path)
        sizes[name], expected = size, expected + size
    if expected > MAX_NEURONS:
        raise StoreError(f"corrupt: {expected} neurons", path=path)
    errors = _rows(metadata["quanta"].get("errors", []), "quanta.errors", path)
    for index, row in enumerate(errors):
        place = f"quanta.errors[{index}]"
        _name(row, "projection", place, path)
        figures = {key: row.get(key) for key in ("largest", "share", "part")}
        check_numbers(figures, place, path=path)
    for index, row in enumerate(_rows(metadata["recorded_spikes"], "recorded_spikes", path)):
        _check_view(row, sizes, f"recorded_spikes[{index}]", path)
    for index, row in enumerate(_rows(metadata["recorded_states"], "recorded_states", path)):
        place = f"recorded_states[{index}]"
        _check_view(row, sizes, place, path)
        _component(_name(row, "name", place, path), f"{place}.name", path)
        check_variables(row.get("variables"), f"{place}.variables", path=path)
        check_integer(
            row.get("interval_steps"), f"{place}.interval_steps", path=path, low=1, high=LAST_STEP
        )
        if "projection" in row:
            _name(row, "projection", place, path)
        if row.get("reduce") not in (None, "sum", "mean"):
            raise StoreError(f"corrupt: {place}.reduce is not 'sum' or 'mean'", path=path)
    weights = _rows(metadata.get("recorded_weights", []), "recorded_weights", path)
    for index, row in enumerate(weights):
        place = f"recorded_weights[{index}]"
        _component(_name(row, "name", place, path), f"{place}.name", path)
        _name(row, "projection", place, path)
        check_integer(row.get("synapses"), f"{place}.synapses", path=path, high=2**62)
        check_variables(row.get("variables"), f"{place}.variables", path=path)
        check_integer(
            row.get("interval_steps"), f"{place}.interval_steps", path=path, low=1, high=LAST_STEP
        )


def check_attempt(attributes: Mapping[str, Any], *, path: str) -> None:
    """Check an attempt's numbers and its list of recordings (StoreError if they are corrupt)."""
    check_integer(attributes["ranks"], "ranks", path=path, low=1, high=MAX_RANKS)
    check_integer(attributes["start_step"], "start_step", path=path, high=LAST_STEP)
    check_integer(attributes.get("saved", 0), "saved", path=path, high=2**62)
    check_paths(attributes.get("recordings", []), "recordings", path=path)
    read_intervals(attributes, path=path)


def check_rank(attributes: Mapping[str, Any], ranks: int, *, path: str) -> None:
    """Check the attributes of one of `ranks` ranks (StoreError if they are corrupt)."""
    for name in ("timing", "memory"):
        check_numbers(attributes.get(name, {}), name, path=path)
    _check_counters(attributes.get("counters", {}), ranks, path)


def _check_counters(counters: Mapping[str, Any], ranks: int, path: str) -> None:
    """Check the counters of a rank: integers, and lists with an integer for each rank."""
    lists = [name for name in _COUNTERS_BY_RANK if name in counters]
    for name in _COUNTERS if counters else ():
        check_integer(counters.get(name), f"counters.{name}", path=path, high=2**62)
    for name in _COUNTERS_IN_GROUPS:
        check_integer(counters.get(name, 0), f"counters.{name}", path=path, high=2**62)
    for name in _COUNTERS_BY_RANK if lists else ():
        values = counters.get(name)
        if not isinstance(values, list) or len(values) != ranks:
            raise StoreError(
                f"corrupt: counters.{name} is not a list of {ranks} numbers", path=path
            )
        for value in values:
            check_integer(value, f"counters.{name}", path=path, high=2**62)


def check_exit_report(attributes: Mapping[str, Any], *, path: str) -> None:
    """Check an exit report (StoreError if it is corrupt)."""
    check_integer(attributes["rank"], "rank", path=path, high=MAX_RANKS)
    check_integer(attributes.get("step", 0), "step", path=path, high=LAST_STEP)


def check_generation(attributes: Mapping[str, Any], *, path: str) -> None:
    """Check a checkpoint's attributes (StoreError if they are corrupt)."""
    check_integer(attributes["step"], "step", path=path, high=LAST_STEP)
    check_integer(attributes["ranks"], "ranks", path=path, low=1, high=MAX_RANKS)
    check_integer(attributes["max_delay_steps"], "max_delay_steps", path=path, high=MAX_DELAY_STEPS)
    _check_number(attributes["run_s"], "run_s", path)
    if not all(isinstance(name, str) for name in attributes["script_changes"]):
        raise StoreError("corrupt: scripted is not a list of names", path=path)
    for index, row in enumerate(_rows(attributes["fields"], "fields", path)):
        for key in ("population", "group", "name", "owner", "dtype", "unit", "count_group"):
            _name(row, key, f"fields[{index}]", path)
        check_integer(row.get("size"), f"fields[{index}].size", path=path, high=2**62)


def check_segments(attributes: Mapping[str, Any], *, path: str) -> None:
    """Check the segments of a rank of a checkpoint (StoreError if they are corrupt)."""
    for index, row in enumerate(_rows(attributes["segments"], "segments", path)):
        place = f"segments[{index}]"
        for key in ("population", "group", "variable", "dtype"):
            _name(row, key, place, path)
        for key in ("first", "size"):
            check_integer(row.get(key), f"{place}.{key}", path=path, high=2**62)


def check_spikes(attributes: Mapping[str, Any], *, path: str) -> None:
    """Check the commit of a rank's spikes (StoreError if it is corrupt)."""
    check_integer(attributes["committed"], "committed", path=path, high=2**62)
    for name in ("committed_step", "last_spike_step"):
        check_integer(attributes[name], name, path=path, low=-1, high=LAST_STEP)
    check_integer(attributes["index_stride"], "index_stride", path=path, low=1, high=2**62)


def check_state(attributes: Mapping[str, Any], *, path: str) -> None:
    """Check the attributes of a rank's state recording (StoreError if they are corrupt)."""
    check_integer(attributes["committed_rows"], "committed_rows", path=path, high=LAST_STEP)
    check_integer(attributes["committed_step"], "committed_step", path=path, low=-1, high=LAST_STEP)
    check_integer(attributes["first_step"], "first_step", path=path, high=2**32)
    check_integer(attributes["interval_steps"], "interval_steps", path=path, low=1, high=LAST_STEP)
    check_integer(attributes.get("neurons", 0), "neurons", path=path, high=MAX_NEURONS)
    check_variables(attributes["variables"], "variables", path=path)


def check_integer(value: Any, name: str, *, path: str, low: int = 0, high: int) -> int:
    """Return an integer within [low, high] (StoreError for any other value)."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        displayed = value if len(repr(value)) <= 60 else type(value).__name__
        message = f"corrupt: {name} is {displayed!r}, must be an integer from {low} to {high}"
        raise StoreError(message, path=path)
    return value


def check_variables(value: Any, name: str, *, path: str) -> None:
    """Raise StoreError unless `value` is a list of names of variables."""
    if not isinstance(value, list | tuple) or not all(
        isinstance(variable, str) for variable in value
    ):
        raise StoreError(f"corrupt: {name} is not a list of names", path=path)
    for variable in value:
        _component(variable, name, path)


def check_paths(value: Any, name: str, *, path: str) -> None:
    """Raise StoreError unless `value` is a list of paths inside a group."""
    if not isinstance(value, list) or not all(isinstance(group_path, str) for group_path in value):
        raise StoreError(f"corrupt: {name} is not a list of paths", path=path)
    for group_path in value:
        for component in group_path.split("/"):
            _component(component, name, path)


def check_numbers(value: Mapping[str, Any], name: str, *, path: str) -> None:
    """Raise StoreError unless all values of a table are numbers."""
    for key, number in value.items():
        good = isinstance(number, float) or (
            isinstance(number, int) and not isinstance(number, bool)
        )
        if not good or (isinstance(number, int) and abs(number) >= 2**63):
            raise StoreError(f"corrupt: {name}.{key} is not a number", path=path)


def _rows(value: Any, name: str, path: str) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise StoreError(f"corrupt: {name} is not a table", path=path)
    return value


def _name(row: Mapping[str, Any], key: str, place: str, path: str) -> str:
    value = row.get(key)
    if not isinstance(value, str):
        raise StoreError(f"corrupt: {place}.{key} is not a name", path=path)
    return value


def _component(name: str, place: str, path: str) -> str:
    # A part of a path must not lead out of its group.
    try:
        return check_component(name, where=place)
    except ValueError as error:
        raise StoreError(f"corrupt: {error}", path=path) from error


def _check_view(row: Mapping[str, Any], sizes: Mapping[str, int], place: str, path: str) -> None:
    name = _name(row, "population", place, path)
    if name not in sizes:
        raise StoreError(f"corrupt: {place} names an unknown population", path=path)
    start = check_integer(row.get("start"), f"{place}.start", path=path, high=sizes[name])
    stop = check_integer(
        row.get("stop"), f"{place}.stop", path=path, low=start + 1, high=sizes[name]
    )
    if "neurons" in row:
        listed = row["neurons"]
        is_list = isinstance(listed, list) and all(type(neuron) is int for neuron in listed)
        if not is_list or not listed or listed[0] != start or listed[-1] != stop - 1:
            raise StoreError(f"corrupt: {place}.neurons do not match its range", path=path)
        if not all(left < right for left, right in pairwise(listed)):
            raise StoreError(f"corrupt: {place}.neurons are not in ascending order", path=path)


def _check_number(value: Any, name: str, path: str, *, positive: bool = False) -> None:
    try:
        good = math.isfinite(value) and (value > 0 if positive else value >= 0)
    except (OverflowError, TypeError):  # an integer beyond all floats, or a tagged number
        good = False
    if not good:
        raise StoreError(
            f"corrupt: {name} is not a {'time step' if positive else 'time'}", path=path
        )
