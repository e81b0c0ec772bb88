"""Rates of populations and costs from a file: what `distsnn profile` wrote, or a run's rates."""

import json
from pathlib import Path
from typing import Any

from distsnn.errors import DescriptionError
from distsnn.io.run_writer import is_run
from distsnn.io.summary import summarise
from distsnn.network.checks import as_number
from distsnn.partition.graph import CostModel
from distsnn.partition.traffic import Rates


def load_rates(name: str | None) -> Rates:
    """Return the rate of each population, spikes/s; where no name is given, 1 of all neurons.

    Parameters
    ----------
    name : str or None
        A JSON file: what `distsnn profile` wrote, or rates alone, ``{"E": 5.2, "I": 8.1}``; or
        the store of a run that recorded all populations.

    Raises
    ------
    DescriptionError
        If there is no such file, or it holds anything else.
    """
    if name is None:
        return 1.0
    path = Path(name)
    where = f"--rates {name}"
    if path.is_dir() and is_run(path):
        rates = summarise(name)["rates"]
        missing = [one for one, rate in rates.items() if rate is None]
        if missing:
            raise DescriptionError("has no spikes of all populations", where=where, value=missing)
        return {one: float(rate) for one, rate in rates.items()}
    found = read_json(path, where)
    rates = found.get("rates") if isinstance(found, dict) and _is_profile(found) else found
    if not isinstance(rates, dict) or not all(
        isinstance(one, int | float) and not isinstance(one, bool) for one in rates.values()
    ):
        raise DescriptionError(
            "holds no rates", where=where, allowed='such as {"E": 5.2, "I": 8.1}, in spikes/s'
        )
    return {
        str(one): as_number(rate, where=f"{where}: rate of population {one!r}")
        for one, rate in rates.items()
    }


def load_cost(name: str | None) -> CostModel:
    """Return what neurons and events take, as `distsnn profile` measured it, or the default.

    Parameters
    ----------
    name : str or None
        As for `load_rates`.

    Raises
    ------
    DescriptionError
        If there is no such file, or its costs are not valid.
    """
    if name is None or Path(name).is_dir():
        return CostModel()
    where = f"--rates {name}"
    found = read_json(Path(name), where)
    if not isinstance(found, dict) or not _is_profile(found):
        return CostModel()
    cost = found.get("cost", {})
    if not isinstance(cost, dict) or not cost.keys() <= {"neuron", "event", "models"}:
        raise DescriptionError(
            "holds no cost",
            where=where,
            value=cost,
            allowed='such as {"neuron": 1.0, "event": 2.0, "models": {"iaf_psc_exp": 1.0}}',
        )
    try:
        return CostModel(**cost)
    except DescriptionError as error:
        raise error.within(where) from error


def _is_profile(found: dict[str, Any]) -> bool:
    # a population may be called "rates", but its rate is a number
    return isinstance(found.get("rates"), dict)


def read_json(path: Path, where: str, allowed: str = "a JSON file or a run's store") -> Any:
    """Return what a JSON file holds; `where` and `allowed` are told if it cannot be read."""
    try:
        return json.loads(path.read_text(), object_pairs_hook=_once_each)
    except (OSError, ValueError, RecursionError) as error:
        raise DescriptionError(f"cannot be read: {error}", where=where, allowed=allowed) from error


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON; which value counts of a name that is there twice, nobody knows."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name!r} is there twice")
        found[name] = value
    return found
