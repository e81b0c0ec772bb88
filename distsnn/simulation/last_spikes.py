"""The spikes of the last run call, for a script that reads them before the next call."""

import numpy as np
import numpy.typing as npt

from distsnn.comm import Communicator, allgather_checked
from distsnn.errors import SimulationStateError
from distsnn.network import Network, PopulationView

Spikes = tuple[npt.NDArray[np.int32], npt.NDArray[np.uint32]]
Keys = npt.NDArray[np.int64]

# Maximum number of stored spikes of a rank, 32 MiB: some seconds of a large network. Run calls of a
# closed loop are far shorter, and a long run must not fill the memory with unused spikes.
MAX_SPIKES = 2**22


class LastRunSpikes:
    """The spikes of the last run call: each rank keeps those of its neurons.

    Parameters
    ----------
    network : Network
        The network.
    communicator : Communicator
        The ranks.
    """

    def __init__(self, network: Network, communicator: Communicator) -> None:
        self._network, self._communicator = network, communicator
        self.begin()

    def begin(self) -> None:
        """Forget all spikes: a run begins."""
        self._arrays: list[Spikes] = []
        self._size = 0
        self._missing: str | None = None

    def discard(self, why: str) -> None:
        """Keep no spikes until the next run begins."""
        self._arrays, self._missing = [], why

    def append(self, step: npt.NDArray[np.int32], gid: npt.NDArray[np.uint32]) -> None:
        """Add spikes that are later than all spikes so far; the arrays are kept."""
        self._size += gid.size
        if self._size <= MAX_SPIKES:
            self._arrays.append((step, gid))
        else:
            self.discard(
                f"the last run call had more than {MAX_SPIKES:,} spikes on one rank, which are not "
                "kept"
            )

    def read(self, view: PopulationView) -> Spikes:
        """Return steps and gids of the spikes of a view. Collective."""
        parts = allgather_checked(
            self._communicator, lambda: self._local_spikes(view), where="spikes"
        )
        keys = parts[0] if len(parts) == 1 else np.sort(np.concatenate(parts))
        return (keys >> 32).astype(np.int32), keys.astype(np.uint32)

    def counts(self, view: PopulationView) -> npt.NDArray[np.int64]:
        """Return the spikes of each neuron of a view. Collective."""
        _, gid = self.read(view)
        return np.bincount(self._positions(view, gid), minlength=view.size)

    def _positions(
        self, view: PopulationView, gid: npt.NDArray[np.uint32]
    ) -> npt.NDArray[np.int64]:
        """Return the index in a view of each of some neurons, -1: not in it."""
        return view.positions(gid.astype(np.int64) - self._network.first_gid[view.population])

    def _local_spikes(self, view: PopulationView) -> tuple[str, Keys]:
        """Return the name of the view, and this rank's spikes of it as ``step << 32 | gid``."""
        if self._missing is not None:
            raise SimulationStateError(
                self._missing, where="spikes", hint="read them from the run store"
            )
        step, gid = self._joined()
        is_local = self._positions(view, gid) >= 0
        return f"{view.population}[{view.text}]", (step[is_local].astype(np.int64) << 32) | gid[
            is_local
        ]

    def _joined(self) -> Spikes:
        if len(self._arrays) != 1:
            step = np.concatenate([np.empty(0, np.int32), *(arrays[0] for arrays in self._arrays)])
            gid = np.concatenate([np.empty(0, np.uint32), *(arrays[1] for arrays in self._arrays)])
            self._arrays = [(step, gid)]
        return self._arrays[0]
