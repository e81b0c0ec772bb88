"""The objects that handles act on, and the values of a projection to read and set."""

from typing import Any, TypeVar

import numpy.typing as npt

from distsnn.comm import Communicator
from distsnn.engine.plasticity.delivery import PlasticDelivery
from distsnn.engine.rank_engine import RankEngine
from distsnn.errors import DescriptionError, SimulationStateError, closest_name
from distsnn.network import PopulationView
from distsnn.simulation.last_spikes import LastRunSpikes
from distsnn.simulation.recording_access import Recordings
from distsnn.simulation.script_changes import ScriptChanges
from distsnn.simulation.stimulus_control import StimulusControl

Array = TypeVar("Array", bound=npt.NDArray[Any])


class PartHandle:
    """Base of handles: an attribute that a handle does not have is refused, not added."""

    def __setattr__(self, name: str, value: object) -> None:
        if not name.startswith("_") and not hasattr(type(self), name):
            near = closest_name(name, [own for own in dir(self) if not own.startswith("_")])
            raise AttributeError(
                f"{type(self).__name__} has no attribute {name!r}; hint: a state variable is set "
                f"by state[{name!r}] = ..., a parameter by parameters[{name!r}] = ..."
                + (f"; did you mean {near!r}?" if near else "")
            )
        super().__setattr__(name, value)


def read_only(values: Array) -> Array:
    """Return values read from the simulation, whose elements cannot be set.

    They are a copy: an assignment to an element would not reach the simulation.
    """
    values.flags.writeable = False
    return values


class Access:
    """The objects that handles act on; a reset replaces some, and a closed simulation refuses all.

    Parameters
    ----------
    engine : RankEngine
        This rank's engine.
    communicator : Communicator
        The ranks.
    scripted : ScriptChanges
        Receives the names of parts that are set.
    inputs : StimulusControl
        Stimuli and spike sources.
    last : LastRunSpikes
        The spikes of the last run.
    recordings : Recordings
        The network's recordings.

    Attributes
    ----------
    communicator, scripted
        The parameters.
    handles : dict of (str or PopulationView) to handle
        Handles of all parts by name, made at the first request, and handles of views.
    """

    def __init__(
        self,
        engine: RankEngine,
        communicator: Communicator,
        scripted: ScriptChanges,
        inputs: StimulusControl,
        last: LastRunSpikes,
        recordings: Recordings,
    ) -> None:
        self.communicator, self.scripted = communicator, scripted
        self._engine, self._recordings, self._closed = engine, recordings, False
        self.handles: dict[str | PopulationView, Any] = {}
        self.use(inputs, last)

    def use(self, inputs: StimulusControl, last: LastRunSpikes) -> None:
        """Use what a reset has made anew."""
        self._inputs, self._last = inputs, last

    def close(self) -> None:
        """Refuse everything from now on."""
        self._closed = True

    def check_open(self) -> None:
        """Raise SimulationStateError if the simulation is closed."""
        if self._closed:
            raise SimulationStateError(
                "the simulation is closed",
                where="simulation[...]",
                hint="use handles before `close`, or before the end of the `with` block; "
                "open_run reads what was recorded",
            )

    @property
    def engine(self) -> RankEngine:
        """This rank's engine."""
        self.check_open()
        return self._engine

    @property
    def inputs(self) -> StimulusControl:
        """Stimuli and spike sources."""
        self.check_open()
        return self._inputs

    @property
    def last(self) -> LastRunSpikes:
        """The spikes of the last run."""
        self.check_open()
        return self._last

    @property
    def recordings(self) -> Recordings:
        """The network's recordings."""
        self.check_open()
        return self._recordings


def plastic_delivery(engine: RankEngine, projection: str, *, member: str) -> PlasticDelivery:
    """Return a plastic projection in action, which a reset replaces.

    Raises
    ------
    DescriptionError
        If the projection is not plastic; the error names what it has in place of the member.
    """
    by_name = engine.plastic_by_name()
    if projection not in by_name:
        problem = "the projection is not plastic"
        if member in ("parameters", "state"):
            problem += " and has no synapse model"
        raise missing_member(engine, projection, member, problem)
    return by_name[projection]


def missing_member(
    engine: RankEngine, projection: str, member: str, problem: str
) -> DescriptionError:
    """Return the error of a member that a projection does not have."""
    described = engine.layout.network.projection(projection, where=member)
    members = {
        "connections",
        "delays",
        "iterate_connections",
        "record",
        "sources",
        "targets",
        "weights",
    }
    if described.scaling_model is not None or described.plasticity_rule is not None:
        members |= {"parameters", "state"}
    if described.plasticity_rule is not None:
        members |= {"learning", "normalise"}
    return DescriptionError(
        problem,
        where=f"{member} of projection {projection!r}",
        allowed=f"its {', '.join(sorted(members))}",
    )
