"""Runs of a network with and without the limits of a board, and how they differ."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.comm import Communicator, collective_phase
from distsnn.io.reader import StoreReader
from distsnn.network import Network, RecordSpikes
from distsnn.partition.boards.board_limits import ConstrainedNetwork
from distsnn.partition.boards.mapping import BoardMapping
from distsnn.partition.boards.packet_counts import count_packets
from distsnn.simulation import Simulation


@contextmanager
def run_with_and_without_limits(
    network: Network,
    constrained: ConstrainedNetwork,
    time_ms: float,
    *,
    seed: int,
    communicator: Communicator,
) -> Iterator["LimitComparison"]:
    """Run a network with and without the limits of a board; the recordings are temporary.

    Collective.

    Parameters
    ----------
    network : Network
        The network.
    constrained : ConstrainedNetwork
        The network under the board's limits.
    time_ms : float
        Biological time, ms.
    seed : int
        Seed of all random numbers.
    communicator : Communicator
        The ranks that run them.
    """
    both = network, constrained.network
    with ExitStack() as stack:
        folder: Any = None
        with collective_phase(communicator, "preparing the runs"):
            if communicator.rank == 0:
                folder = stack.enter_context(TemporaryDirectory(prefix="distsnn-map-"))
        folder = communicator.bcast(folder)
        paths = Path(folder) / "free.zarr", Path(folder) / "board.zarr"
        for simulated, path in zip(both, paths, strict=True):
            spikes = tuple(RecordSpikes(population) for population in simulated.populations)
            recorded = replace(simulated, recordings=spikes)
            with Simulation(recorded, seed=seed, out=path, communicator=communicator) as simulation:
                simulation.run(time_ms)
        yield LimitComparison(constrained, time_ms, paths)


@dataclass(frozen=True)
class LimitComparison:
    """Recorded runs of a network with and without the limits of a board.

    Parameters
    ----------
    constrained : ConstrainedNetwork
        The network under the board's limits.
    time_ms : float
        Biological time, ms.
    paths : pair of Path
        Stores of the runs without and with limits.
    """

    constrained: ConstrainedNetwork
    time_ms: float
    paths: tuple[Path, Path]

    def rates(self) -> dict[str, Any]:
        """Return the rate of each neuron under the board's limits, spikes/s, by population."""
        network, counts = self.constrained.network, self._spikes()
        return {
            population.name: counts[first : first + population.size] * (1e3 / self.time_ms)
            for population, first in zip(
                network.populations, network.first_gid.values(), strict=True
            )
        }

    def _spikes(self) -> npt.NDArray[np.int64]:
        """Return the number of spikes of each neuron under the board's limits."""
        counts = np.zeros(self.constrained.network.n_neurons, np.int64)
        for _, gid in StoreReader(self.paths[1]).iterate_spikes():
            counts += np.bincount(gid, minlength=counts.size)
        return counts

    def to_dict(self, mapping: BoardMapping, report: dict[str, Any]) -> dict[str, Any]:
        """Return what the board changes, and its traffic, as plain data.

        Parameters
        ----------
        mapping : BoardMapping
            The constrained network's mapping.
        report : dict
            Its report.
        """
        free, board = (StoreReader(path) for path in self.paths)
        seconds = self.time_ms * 1e-3
        return {
            "time_ms": self.time_ms,
            "changes": list(self.constrained.changes),
            "not_applied": list(self.constrained.unknown_parameters),
            "same_spikes": free.dt == board.dt and free.spike_hash() == board.spike_hash(),
            "populations": self._statistics(),
            "measured": asdict(count_packets(mapping, self._spikes())),
            "predicted": {
                "packets": report["packets_per_s"] * seconds,
                "hops": report["link_crossings_per_s"] * seconds,
            },
        }

    def _statistics(self) -> dict[str, dict[str, list[float | None]]]:
        """Return rates and CVs of populations, each as it is and under the board's limits."""
        from distsnn.analysis import open_run

        statistics: dict[str, dict[str, list[float | None]]] = {}
        for run in map(open_run, self.paths):
            for name in run.populations.index:
                values = statistics.setdefault(str(name), {"rate": [], "cv": []})
                values["rate"].append(float(run.rates(name).mean()))
                cv = run.cv(name).values
                finite = cv[~np.isnan(cv)]
                values["cv"].append(float(finite.mean()) if finite.size else None)
        return statistics
