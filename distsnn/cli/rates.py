"""Rates of populations from a file: what `distsnn profile` wrote, or a run's own."""

import json
from pathlib import Path

from distsnn.errors import DescriptionError
from distsnn.io.run_writer import is_run
from distsnn.io.summary import summarise
from distsnn.partition.traffic import Rates


def load_rates(name: str | None) -> Rates:
    """Return the rate of each population, spikes/s; where no name is given, 1 of all neurons.

    Parameters
    ----------
    name : str or None
        A JSON file, ``{"E": 5.2, "I": 8.1}``, or the store of a run that recorded all populations.

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
    try:
        rates = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise DescriptionError(
            f"cannot be read: {error}", where=where, allowed="a JSON file or a run's store"
        ) from error
    if not isinstance(rates, dict) or not all(
        isinstance(one, int | float) and not isinstance(one, bool) for one in rates.values()
    ):
        raise DescriptionError(
            "holds no rates", where=where, allowed='such as {"E": 5.2, "I": 8.1}, in spikes/s'
        )
    return {str(one): float(rate) for one, rate in rates.items()}
