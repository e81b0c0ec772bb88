"""States that the sources and targets of a projection share: of synapse models, and traces."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from distsnn.comm import Communicator, allgather_checked
from distsnn.engine.rank_engine import RankEngine
from distsnn.engine.state_fields import Ints, Values
from distsnn.network import PopulationView

Floats = npt.NDArray[np.float64]
End = Literal["source", "target"]


@dataclass(frozen=True, eq=False)
class EndState:
    """A state of all sources or all targets of a projection.

    Attributes
    ----------
    end : {"source", "target"}
        What has a value.
    view : PopulationView
        These neurons.
    first_gid : int
        First gid of their population.
    values : ndarray of float64, shape (n_neurons,)
        Their values, in the order of gids.
    """

    end: End
    view: PopulationView
    first_gid: int
    values: Floats

    def of(self, table: npt.NDArray[np.void]) -> Floats:
        """Return the value of each connection in a table."""
        values: Floats = self.values[self.view.positions(table[self.end] - self.first_gid)]
        return values


def end_of_states(engine: RankEngine, projection: str) -> dict[str, End]:
    """Return which states sources or targets of a projection share; not collective.

    Parameters
    ----------
    engine : RankEngine
        This rank's engine.
    projection : str
        The projection's name.
    """
    plastic, ends = engine.plastic_by_name(), dict[str, End]()
    if projection in plastic:
        rule = plastic[projection].rule
        ends |= dict.fromkeys(rule.SOURCE, "source")
        ends |= dict.fromkeys(rule.TARGET, "target")
        return ends
    model = engine.layout.network.projection(projection).scaling_model
    ends |= dict.fromkeys({} if model is None else model.states, "source")
    return ends


def read_end_states(
    engine: RankEngine, communicator: Communicator, projection: str, name: str = ""
) -> dict[str, EndState]:
    """Return states that sources or targets of a projection share, as they are now. Collective.

    They are the states of a synapse model, and the traces of a plasticity rule. The trace of a
    source counts the spikes that have reached the synapses.

    Parameters
    ----------
    engine : RankEngine
        This rank's engine.
    communicator : Communicator
        The ranks.
    projection : str
        The projection's name.
    name : str
        The state that is asked for, if it is a single one.

    Returns
    -------
    dict of str to EndState
        On every rank, by name.

    Raises
    ------
    DescriptionError, UsageError
        If ranks name different projections or states.
    """
    network = engine.layout.network
    described = network.projection(projection)
    views: dict[End, PopulationView] = {"source": described.pre, "target": described.post}
    ends = end_of_states(engine, projection)

    def local_states() -> tuple[object, dict[End, tuple[Ints, dict[str, Values]]]]:
        return (projection, name), {
            end: _positions(neurons, values, views[end])
            for end, (neurons, values) in _local_values(engine, projection).items()
        }

    where = f"state of projection {projection!r}"
    parts = allgather_checked(communicator, local_states, where=where)
    states = {}
    for state, end in ends.items():
        view = views[end]
        values = np.zeros(view.size)
        for part in parts:
            positions, local_values = part[end]
            values[positions] = local_values[state]
        states[state] = EndState(end, view, network.first_gid[view.population], values)
    return states


def _local_values(engine: RankEngine, projection: str) -> dict[End, tuple[Ints, dict[str, Values]]]:
    """Return this rank's neurons of the ends, with their states; neurons are -1 for padding."""
    in_flight = engine.follow()
    for sources in engine.sources.values():
        if sources.projection.name == projection:
            return {"source": (sources.neurons, sources.now(engine.step))}
    plastic = engine.plastic_by_name()
    if projection not in plastic:
        return {}
    settled, targets = plastic[projection].settled, plastic[projection].targets
    return {
        "source": (settled.neurons, settled.now(engine.step, in_flight)),
        "target": (targets.neurons, targets.now(engine.step)),
    }


def _positions(
    neurons: Ints, values: dict[str, Values], view: PopulationView
) -> tuple[Ints, dict[str, Values]]:
    """Return the positions of neurons within a view, and the values of those in it."""
    positions = view.positions(neurons)
    inside = positions >= 0
    return positions[inside], {name: its[inside] for name, its in values.items()}
