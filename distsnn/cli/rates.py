"""Rates of populations and costs from a file: what `distsnn profile` wrote, or a run's rates."""

import json
from pathlib import Path
from typing import Any

from distsnn.errors import DescriptionError
from distsnn.io.run_writer import is_run
from distsnn.io.summary import read_run_info
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
        If the file does not exist or has another content.
    """
    if name is None:
        return 1.0
    path = Path(name)
    where = f"--rates {name}"
    if path.is_dir() and is_run(path):
        run_rates = read_run_info(name).rates
        missing = [population_name for population_name, rate in run_rates.items() if rate is None]
        if missing:
            raise DescriptionError("has no spikes of all populations", where=where, value=missing)
        return {name: rate for name, rate in run_rates.items() if rate is not None}
    content = read_json(path, where)
    rates = content.get("rates") if isinstance(content, dict) and _is_profile(content) else content
    if not isinstance(rates, dict) or not all(
        isinstance(rate, int | float) and not isinstance(rate, bool) for rate in rates.values()
    ):
        raise DescriptionError(
            "holds no rates", where=where, allowed='such as {"E": 5.2, "I": 8.1}, in spikes/s'
        )
    return {
        str(population_name): as_number(
            rate, where=f"{where}: rate of population {population_name!r}"
        )
        for population_name, rate in rates.items()
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
        If the file does not exist or its costs are not valid.
    """
    if name is None or Path(name).is_dir():
        return CostModel()
    where = f"--rates {name}"
    content = read_json(Path(name), where)
    if not isinstance(content, dict) or not _is_profile(content):
        return CostModel()
    cost = content.get("cost", {})
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


def _is_profile(content: dict[str, Any]) -> bool:
    # a population may be called "rates", but its rate is a number
    return isinstance(content.get("rates"), dict)


def read_json(path: Path, where: str, allowed: str = "a JSON file or a run's store") -> Any:
    """Return the content of a JSON file; `where` and `allowed` are for the error."""
    try:
        return json.loads(path.read_text(), object_pairs_hook=_reject_duplicates)
    except (OSError, ValueError, RecursionError) as error:
        raise DescriptionError(f"cannot be read: {error}", where=where, allowed=allowed) from error


def _reject_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON; a name that occurs twice is an error."""
    checked: dict[str, Any] = {}
    for name, value in pairs:
        if name in checked:
            raise ValueError(f"{name!r} is there twice")
        checked[name] = value
    return checked
