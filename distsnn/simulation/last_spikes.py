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
    """Every rank's own spikes of the last run, read by all ranks together.

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
        self._pieces: list[Spikes] = []
        self._size = 0
        self._missing: str | None = None

    def discard(self, why: str) -> None:
        """Keep no spikes until the next run begins."""
        self._pieces, self._missing = [], why

    def append(self, step: npt.NDArray[np.int32], gid: npt.NDArray[np.uint32]) -> None:
        """Take some spikes, later than all before; the arrays are kept."""
        self._size += gid.size
        if self._size <= MAX_SPIKES:
            self._pieces.append((step, gid))
        else:
            self.discard(
                f"the last run call had more than {MAX_SPIKES:,} spikes on one rank, which are not "
                "kept"
            )

    def of(self, view: PopulationView) -> Spikes:
        """Return what `PopulationHandle.spikes` does. Collective."""
        parts = allgather_checked(self._communicator, lambda: self._own(view), where="spikes")
        keys = parts[0] if len(parts) == 1 else np.sort(np.concatenate(parts))
        return (keys >> 32).astype(np.int32), keys.astype(np.uint32)

    def counts(self, view: PopulationView) -> npt.NDArray[np.int64]:
        """Return what `PopulationHandle.spike_counts` does. Collective."""
        _, gid = self.of(view)
        return np.bincount(self._positions(view, gid), minlength=view.size)

    def _positions(
        self, view: PopulationView, gid: npt.NDArray[np.uint32]
    ) -> npt.NDArray[np.int64]:
        """Return the index in a view of each of some neurons, -1: not in it."""
        return view.positions(gid.astype(np.int64) - self._network.first_gid[view.population])

    def _own(self, view: PopulationView) -> tuple[str, Keys]:
        """Return a text of the view, and this rank's spikes of it as ``step << 32 | gid``."""
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
        if len(self._pieces) != 1:
            step = np.concatenate([np.empty(0, np.int32), *(piece[0] for piece in self._pieces)])
            gid = np.concatenate([np.empty(0, np.uint32), *(piece[1] for piece in self._pieces)])
            self._pieces = [(step, gid)]
        return self._pieces[0]
