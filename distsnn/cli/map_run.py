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
    network: Network, made: ConstrainedNetwork, options: Namespace, communicator: Communicator
) -> Iterator["BothRuns"]:
    """Run a network as it is and as a board would run it; the recordings are gone afterwards.

    Collective.

    Parameters
    ----------
    network : Network
        The network.
    made : Constrained
        What the board makes of it.
    options : Namespace
        The command line: `run` (ms) and `seed`.
    communicator : Communicator
        The ranks that run them.
    """
    time_ms, both = float(options.run), (network, made.network)
    seed = 1 if options.seed is None else options.seed
    with ExitStack() as kept:
        folder: Any = None
        with collective_phase(communicator, "preparing the runs"):
            if time_ms == 0.0:
                raise DescriptionError("nothing would run", where="--run", value=0.0)
            for one in both:
                steps(time_ms, one.dt, where="--run")
            if communicator.rank == 0:
                folder = kept.enter_context(TemporaryDirectory(prefix="distsnn-map-"))
        folder = communicator.bcast(folder)
        paths = Path(folder) / "free.zarr", Path(folder) / "board.zarr"
        for one, path in zip(both, paths, strict=True):
            spikes = tuple(RecordSpikes(population) for population in one.populations)
            recorded = replace(one, recordings=spikes)
            with Simulation(recorded, seed=seed, out=path, communicator=communicator) as simulation:
                simulation.run(time_ms)
        yield BothRuns(made, time_ms, paths)


@dataclass(frozen=True)
class BothRuns:
    """Recorded runs of a network as it is and as a board would run it.

    Parameters
    ----------
    made : Constrained
        What the board makes of the network.
    time_ms : float
        How long they ran.
    paths : pair of Path
        Stores of the two runs.
    """

    made: ConstrainedNetwork
    time_ms: float
    paths: tuple[Path, Path]

    def rates(self) -> dict[str, Any]:
        """Return the rate of each neuron under the board's limits, spikes/s, by population."""
        network, counts = self.made.network, self._spikes()
        return {
            one.name: counts[first : first + one.size] * (1e3 / self.time_ms)
            for one, first in zip(network.populations, network.first_gid.values(), strict=True)
        }

    def _spikes(self) -> npt.NDArray[np.int64]:
        """Return the number of spikes of each neuron under the board's limits."""
        counts = np.zeros(self.made.network.n_neurons, np.int64)
        for _, gid in StoreReader(self.paths[1]).iterate_spikes():
            counts += np.bincount(gid, minlength=counts.size)
        return counts

    def effect(self, mapping: BoardMapping, said: dict[str, Any]) -> dict[str, Any]:
        """Return what the board changes, and its traffic, as plain data.

        Parameters
        ----------
        mapping : Mapping
            The constrained network's mapping.
        said : dict
            Its report.
        """
        free, board = (StoreReader(path) for path in self.paths)
        seconds = self.time_ms * 1e-3
        return {
            "time_ms": self.time_ms,
            "changes": list(self.made.changes),
            "not_applied": list(self.made.unknown_parameters),
            "same_spikes": free.dt == board.dt and free.spike_hash() == board.spike_hash(),
            "populations": self._statistics(),
            "measured": asdict(count_packets(mapping, self._spikes())),
            "predicted": {
                "packets": said["packets_per_s"] * seconds,
                "hops": said["link_crossings_per_s"] * seconds,
            },
        }

    def _statistics(self) -> dict[str, dict[str, list[float | None]]]:
        """Return rates and CVs of populations, each as it is and under the board's limits."""
        from distsnn.analysis import open_run

        found: dict[str, dict[str, list[float | None]]] = {}
        for run in map(open_run, self.paths):
            for name in run.populations.index:
                own = found.setdefault(str(name), {"rate": [], "cv": []})
                own["rate"].append(float(run.rates(name).mean()))
                cv = run.cv(name).values
                known = cv[~np.isnan(cv)]
                own["cv"].append(float(known.mean()) if known.size else None)
        return found


def effect_lines(effect: dict[str, Any], board: str) -> list[str]:
    """Return `BothRuns.effect` in words and columns."""
    lines = [f"{effect['time_ms']:g} ms under the limits of {board}:"]
    lines += [f"  {one}" for one in effect["changes"] or ["nothing changes"]]
    if effect["not_applied"]:
        lines.append(f"  not applied, as unknown: {', '.join(effect['not_applied'])}")
    heads = ["", "spikes/s", "there", "", "CV", "there", ""]
    rows = [
        [f"  {name}", *_pair(*own["rate"]), *_pair(*own["cv"])]
        for name, own in effect["populations"].items()
    ]
    lines += columns(heads, rows)
    if effect["same_spikes"]:
        lines.append("the same spikes as without limits, one by one")
    made, said = effect["measured"], effect["predicted"]
    return [
        *lines,
        f"{counted(made['spikes'], 'spike')} sent {counted(made['packets'], 'packet')} over "
        f"{counted(made['hops'], 'link')} (predicted: {said['packets']:,.0f} over "
        f"{said['hops']:,.0f})",
    ]


def _pair(before: float | None, after: float | None) -> list[str]:
    shown = ["-" if one is None else f"{one:.3g}" for one in (before, after)]
    if not before or after is None:
        return [*shown, ""]
    return [*shown, f"{100.0 * (after / before - 1.0):+.1f} %"]
