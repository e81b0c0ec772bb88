"""What plastic projections share with the loop: the list of spikes, and calls beside deliveries."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distsnn.engine.source_states import SourceStates
from distsnn.engine.tables import Call


@dataclass(frozen=True, eq=False)
class SpikeLists:
    """The list of spikes to deliver, and what the loop says of itself.

    Attributes
    ----------
    gid, step : ndarray of uint32, int64
        Spikes and the loops that emitted them.
    state : ndarray of int64
        See `kernels.loop`.
    complete_until : ndarray of int64, shape (1,)
        The loop before which all ranks' spikes are delivered, or are those that the list holds:
        histories make room only where the list is empty.
    """

    gid: npt.NDArray[np.uint32]
    step: npt.NDArray[np.int64]
    state: npt.NDArray[np.int64]
    complete_until: npt.NDArray[np.int64]


@dataclass(eq=False)
class Archive:
    """What notes the spikes of a plastic projection's targets.

    Attributes
    ----------
    deliver : Call
        Called with a range of the list.
    make_room : callable
        Makes room in the histories.
    """

    deliver: Call
    make_room: Callable[[], None]
    collect: Call | None = None
    states: SourceStates | None = None
    events: int = 0

    def grow(self) -> None:
        """Make room in the histories."""
        self.make_room()
