"""``distsnn map --run``: what a board does to a network, seen before there is a board."""

from argparse import Namespace
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.cli.tables import columns
from distsnn.comm import Communicator, collective_phase
from distsnn.errors import DescriptionError
from distsnn.io.reader import StoreReader
from distsnn.network import Network, RecordSpikes
from distsnn.partition.boards.board_limits import ConstrainedNetwork
from distsnn.partition.boards.mapping import BoardMapping
from distsnn.partition.boards.packet_counts import count_packets
from distsnn.simulation import Simulation
from distsnn.units import counted, steps


@contextmanager
def both_runs(
    network: Network,
    constrained: ConstrainedNetwork,
    options: Namespace,
    communicator: Communicator,
) -> Iterator["BothRuns"]:
    """Run a network as it is and as a board would run it; the recordings are gone afterwards.

    Collective.

    Parameters
    ----------
    network : Network
        The network.
    constrained : Constrained
        What the board makes of it.
    options : Namespace
        The command line: `run` (ms) and `seed`.
    communicator : Communicator
        The ranks that run them.
    """
    time_ms, both = float(options.run), (network, constrained.network)
    seed = 1 if options.seed is None else options.seed
    with ExitStack() as stack:
        folder: Any = None
        with collective_phase(communicator, "preparing the runs"):
            if time_ms == 0.0:
                raise DescriptionError("nothing would run", where="--run", value=0.0)
            for simulated in both:
                steps(time_ms, simulated.dt, where="--run")
            if communicator.rank == 0:
                folder = stack.enter_context(TemporaryDirectory(prefix="distsnn-map-"))
        folder = communicator.bcast(folder)
        paths = Path(folder) / "free.zarr", Path(folder) / "board.zarr"
        for simulated, path in zip(both, paths, strict=True):
            spikes = tuple(RecordSpikes(population) for population in simulated.populations)
            recorded = replace(simulated, recordings=spikes)
            with Simulation(recorded, seed=seed, out=path, communicator=communicator) as simulation:
                simulation.run(time_ms)
        yield BothRuns(constrained, time_ms, paths)


@dataclass(frozen=True)
class BothRuns:
    """Recorded runs of a network as it is and as a board would run it.

    Parameters
    ----------
    constrained : Constrained
        What the board makes of the network.
    time_ms : float
        How long they ran.
    paths : pair of Path
        Stores of the two runs.
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

    def effect(self, mapping: BoardMapping, report: dict[str, Any]) -> dict[str, Any]:
        """Return what the board changes, and its traffic, as plain data.

        Parameters
        ----------
        mapping : Mapping
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


def effect_lines(effect: dict[str, Any], board: str) -> list[str]:
    """Return `BothRuns.effect` in words and columns."""
    lines = [f"{effect['time_ms']:g} ms under the limits of {board}:"]
    lines += [f"  {change}" for change in effect["changes"] or ["nothing changes"]]
    if effect["not_applied"]:
        lines.append(f"  not applied, as unknown: {', '.join(effect['not_applied'])}")
    heads = ["", "spikes/s", "there", "", "CV", "there", ""]
    rows = [
        [f"  {name}", *_pair(*values["rate"]), *_pair(*values["cv"])]
        for name, values in effect["populations"].items()
    ]
    lines += columns(heads, rows)
    if effect["same_spikes"]:
        lines.append("all spikes are the same as without limits")
    measured, predicted = effect["measured"], effect["predicted"]
    return [
        *lines,
        f"{counted(measured['spikes'], 'spike')} sent {counted(measured['packets'], 'packet')} "
        f"over {counted(measured['hops'], 'link')} (predicted: {predicted['packets']:,.0f} over "
        f"{predicted['hops']:,.0f})",
    ]


def _pair(before: float | None, after: float | None) -> list[str]:
    texts = ["-" if value is None else f"{value:.3g}" for value in (before, after)]
    if not before or after is None:
        return [*texts, ""]
    return [*texts, f"{100.0 * (after / before - 1.0):+.1f} %"]
