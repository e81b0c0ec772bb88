"""Rates and costs of a network: what `distsnn profile` measures, a file, or a run's rates."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distsnn.errors import DescriptionError
from distsnn.io.run_writer import is_run
from distsnn.io.summary import read_run_info
from distsnn.network.checks import as_number
from distsnn.partition.graph import CostModel
from distsnn.partition.traffic import Rates
from distsnn.public_api import public_class


@public_class
@dataclass(frozen=True)
class Profile:
    """Rates and costs of a network, by which partitions and mappings are chosen.

    Parameters
    ----------
    rates : mapping of str to array_like, or float
        Rates, spikes/s: for each population one number or an array with one per neuron. A single
        number applies to all neurons.
    cost : mapping
        Measured costs, ns: ``neuron`` (mean of a neuron and step), ``event`` (a synaptic event)
        and ``models`` (a neuron and step, by neuron model). A cost that was not measured is absent.
    """

    rates: Rates = 1.0
    cost: Mapping[str, Any] = field(default_factory=dict)

    @property
    def cost_model(self) -> CostModel:
        """The measured costs, with default values for others."""
        return CostModel(**self.cost)

    def to_dict(self) -> dict[str, Any]:
        """Return the profile as data, which ``distsnn profile`` prints as JSON."""
        return {"rates": self.rates, "cost": self.cost}


def read_profile(source: Profile | Rates | str | os.PathLike[str] | None) -> Profile:
    """Return the profile that an argument or option ``rates`` gives.

    Parameters
    ----------
    source : Profile, mapping, float, str, PathLike or None
        A profile; rates as in `Profile`; the path of a JSON file that contains what
        ``distsnn profile`` wrote, or rates alone, ``{"E": 5.2, "I": 8.1}``; the store of a run that
        recorded all populations; or None, 1 spike/s of all neurons.

    Raises
    ------
    DescriptionError
        If the file does not exist or has another content.
    """
    if source is None:
        return Profile()
    if isinstance(source, Profile):
        return source
    if not isinstance(source, str | os.PathLike):
        return Profile(source)
    path = Path(source)
    where = f"rates {os.fspath(source)}"
    if path.is_dir() and is_run(path):
        run_rates = read_run_info(path).rates
        missing = [name for name, rate in run_rates.items() if rate is None]
        if missing:
            raise DescriptionError("has no spikes of all populations", where=where, value=missing)
        return Profile({name: rate for name, rate in run_rates.items() if rate is not None})
    content = read_json(path, where)
    # a population may be called "rates", but its rate is a number
    is_profile = isinstance(content, dict) and isinstance(content.get("rates"), dict)
    rates = content["rates"] if is_profile else content
    if not isinstance(rates, dict) or not all(
        isinstance(rate, int | float) and not isinstance(rate, bool) for rate in rates.values()
    ):
        raise DescriptionError(
            "holds no rates", where=where, allowed='such as {"E": 5.2, "I": 8.1}, in spikes/s'
        )
    checked_rates = {
        str(name): as_number(rate, where=f"{where}: rate of population {name!r}")
        for name, rate in rates.items()
    }
    cost = _checked_cost(content.get("cost", {}), where) if is_profile else {}
    return Profile(checked_rates, cost)


def _checked_cost(cost: Any, where: str) -> dict[str, Any]:
    if not isinstance(cost, dict) or not cost.keys() <= {"neuron", "event", "models"}:
        raise DescriptionError(
            "holds no cost",
            where=where,
            value=cost,
            allowed='such as {"neuron": 1.0, "event": 2.0, "models": {"iaf_psc_exp": 1.0}}',
        )
    try:
        CostModel(**cost)
    except DescriptionError as error:
        raise error.in_context(where) from error
    return cost


def read_json(
    path: str | os.PathLike[str], where: str, allowed: str = "a JSON file or a run's store"
) -> Any:
    """Return the content of a JSON file; `where` and `allowed` are for the error."""
    try:
        return json.loads(Path(path).read_text(), object_pairs_hook=_reject_duplicates)
    except (OSError, ValueError, RecursionError) as error:
        raise DescriptionError(f"cannot be read: {error}", where=where, allowed=allowed) from error


def _reject_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON; a name that occurs twice is an error."""
    checked: dict[str, Any] = {}
    for name, value in pairs:
        if name in checked:
            raise ValueError(f"{name!r} occurs twice")
        checked[name] = value
    return checked
