"""What a run was, in numbers."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Summary:
    """What a run was, in numbers.

    Attributes
    ----------
    path : str or None
        The run's store.
    neurons, synapses, ranks : int
        Sizes.
    time_ms : float
        Biological time, ms.
    build_s, run_s : float
        Wall time of building and of running, s.
    real_time_factor : float
        Wall time per biological time while running.
    spikes : int
        Spikes of recorded neurons since 0 ms; those before a checkpoint that it began from count,
        though a store that began there does not hold them.
    rates : dict of str to float
        Mean rate of each population's recorded neurons since 0 ms, spikes/s; None where none is
        recorded.
    peak_rss_bytes : list of int
        Largest resident memory of each rank.
    """

    path: str | None
    neurons: int
    synapses: int
    ranks: int
    time_ms: float
    build_s: float
    run_s: float
    real_time_factor: float
    spikes: int
    rates: dict[str, float | None]
    peak_rss_bytes: list[int]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return asdict(self)


@dataclass(frozen=True)
class Counted:
    """What a simulation has done so far.

    Attributes
    ----------
    phases : dict of str to list of float
        Wall time by phase, of each rank, s: build, update, deliver, exchange, wait, record, total.
    spikes : dict of str to int
        Spikes of recorded neurons by population, of all ranks.
    events : int
        Synaptic events, of all ranks, since the simulation was made.
    exchanges, group_exchanges : int
        Exchanges of spikes among all ranks, and inside groups, since the simulation was made.
    plastic_synapses, plastic_bytes : int
        Synapses that learn, of all ranks, and the memory that they take: words, weights, states,
        sources' traces and targets' histories.
    """

    phases: dict[str, list[float]]
    spikes: dict[str, int]
    events: int
    exchanges: int
    group_exchanges: int
    plastic_synapses: int
    plastic_bytes: int
