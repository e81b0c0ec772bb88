"""Recordings, which a script switches off and on between two run calls."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from distsnn.comm import Communicator, allgather_checked, collective_phase
from distsnn.engine.rank_engine import RankEngine
from distsnn.errors import (
    DescriptionError,
    SimulationStateError,
    StoreError,
    unknown_name_error,
)
from distsnn.network import Network, RecordSpikes, RecordState, RecordWeights
from distsnn.simulation.script_changes import ScriptChanges
from distsnn.simulation.spike_output import SpikeOutput

# The key of a population's spikes among its recordings.
SPIKES = "spikes"


@dataclass
class Switch:
    """Whether a recording is on, since which step, and in how many steps it was on before."""

    on: bool = True
    since: int = 0
    steps_before: int = 0

    def steps(self, step: int) -> int:
        """Return in how many steps it was on."""
        return self.steps_before + (step - self.since if self.on else 0)


class Recordings:
    """All recordings of a network, by the names that a store has for them.

    Parameters
    ----------
    network : Network
        The network.
    communicator : Communicator
        The ranks.

    Attributes
    ----------
    parts : dict of str to dict of str to str
        Names of recordings by part of the network and key: ``"spikes"`` of a population, or the
        name of a recording of states or weights.
    """

    def __init__(self, network: Network, communicator: Communicator) -> None:
        self._communicator = communicator
        parts: dict[str, dict[str, str]] = {
            population.name: {} for population in network.populations
        }
        parts |= {str(projection.name): {} for projection in network.projections}
        for recording in network.recordings:
            match recording:
                case RecordSpikes():
                    parts[recording.target.population][SPIKES] = (
                        f"spikes/{recording.target.population}"
                    )
                case RecordState():
                    part = recording.projection or recording.target.population
                    parts[part][str(recording.name)] = f"state/{recording.name}"
                case RecordWeights():
                    parts[recording.projection][str(recording.name)] = f"weights/{recording.name}"
        self.parts = parts
        names = (name for keys in parts.values() for name in keys.values())
        self._switches = {name: Switch() for name in names}
        self._engine: RankEngine | None = None
        self._output: SpikeOutput | None = None

    def use(self, engine: RankEngine, output: SpikeOutput) -> None:
        """Switch the recordings of a network that was built, or taken back to its beginning."""
        self._engine, self._output = engine, output
        for name, switch in self._switches.items():
            self._switches[name] = Switch(switch.on, engine.step)
            self._act(name, switch.on)

    def check_open(self, *, where: str) -> None:
        """Raise SimulationStateError if the simulation is closed."""
        assert self._output is not None
        if self._output.closed:
            raise SimulationStateError("the simulation is closed", where=where)

    def is_on(self, name: str) -> bool:
        """Return whether a recording is on."""
        return self._switches[name].on

    @property
    def parts_off(self) -> list[str]:
        """The parts of the network with recordings that are off."""
        return [
            part for part, names in self.parts.items() if not all(map(self.is_on, names.values()))
        ]

    @property
    def off(self) -> list[str]:
        """The recordings that are off."""
        return [name for name, switch in self._switches.items() if not switch.on]

    def steps(self, step: int) -> dict[str, int]:
        """Return in how many steps up to one each recording was on, since the network's start."""
        return {name: switch.steps(step) for name, switch in self._switches.items()}

    def switch(self, named: Callable[[], list[str]], on: bool, *, where: str) -> None:
        """Switch recordings from the next step on. Collective.

        Parameters
        ----------
        named : callable
            Returns their names, or raises DescriptionError.
        on : bool
            Whether they are to record.
        where : str
            The place named in errors.

        Raises
        ------
        DescriptionError
            If `on` is not a bool, or ranks make different calls.
        SimulationStateError
            If the simulation is closed.
        StoreError
            If the store cannot be written.
        """
        engine, output, communicator = self._engine, self._output, self._communicator
        assert engine is not None
        assert output is not None

        def asked() -> tuple[object, list[str]]:
            names = named()
            if not isinstance(on, bool):
                raise DescriptionError("must be True or False", where=where, value=on)
            self.check_open(where=where)
            return (names, on), names

        request = allgather_checked(communicator, asked, where=where)[0]
        names = [name for name in request if self._switches[name].on != on]
        if not names:
            return
        # before any rank records anything after this step
        with collective_phase(communicator, "switching recordings"):
            if output.recorder is not None:
                output.recorder.switch(names, on)
        for name in names:
            step = engine.step
            self._switches[name] = Switch(on, step, self._switches[name].steps(step))
            self._act(name, on)

    def _act(self, name: str, on: bool) -> None:
        assert self._engine is not None
        assert self._output is not None
        folder, _, recording = name.partition("/")
        if folder == SPIKES:
            self._output.recorded.switch(recording, on)
        else:
            self._engine.switch_recording(folder, recording, on)

    def saved(self) -> dict[str, dict[str, Any]]:
        """Return what a checkpoint keeps: recordings that were switched."""
        assert self._engine is not None
        step = self._engine.step
        return {
            name: {"on": switch.on, "steps": switch.steps(step)}
            for name, switch in self._switches.items()
            if not switch.on or switch.steps(step) < step
        }

    def restore(self, saved: Mapping[str, Any], *, path: str) -> None:
        """Set what a checkpoint kept, at its step.

        Raises
        ------
        StoreError
            If it cannot have been kept.
        """
        assert self._engine is not None
        step = self._engine.step
        for name in self._switches:
            self._switches[name] = Switch(True, step, step)
        for name, entry in saved.items():
            match entry:
                case {"on": bool() as on, "steps": int() as steps} if (
                    name in self._switches and 0 <= steps <= step
                ):
                    self._switches[name] = Switch(on, step, steps)
                case _:
                    raise StoreError(f"corrupt: recording {name!r} is {entry!r}"[:200], path=path)
        for name, switch in self._switches.items():
            self._act(name, switch.on)


class PartRecordings(Mapping[str, bool]):
    """Whether recordings of a part of the network are on, by name; may be set.

    The keys are ``"spikes"`` of a population, and names of recordings of states or weights. A
    recording that is off costs nothing, and the store lists its intervals, so that statistics do
    not treat it as silence.

    Parameters
    ----------
    recordings : Recordings
        All recordings.
    part : str
        The population or projection.
    scripted : ScriptChanges
        Is notified when a recording is switched.
    """

    def __init__(self, recordings: Recordings, part: str, scripted: ScriptChanges) -> None:
        self._recordings, self._part, self._scripted = recordings, part, scripted

    @property
    def _names(self) -> dict[str, str]:
        return self._recordings.parts[self._part]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, key: str) -> bool:
        self._recordings.check_open(where=self._where)
        return self._recordings.is_on(self._name(key))

    def __setitem__(self, key: str, on: bool) -> None:
        """Switch a recording on or off, from the next step on. Collective.

        Raises
        ------
        DescriptionError
            If the recording is unknown, or ranks switch differently.
        StoreError
            If the store cannot be written.
        """
        self._switch(lambda: [self._name(key)], on)

    def switch_all(self, on: bool) -> None:
        """Switch all recordings of the part. Collective.

        Raises
        ------
        DescriptionError
            If nothing of the part is recorded, or ranks switch differently.
        StoreError
            If the store cannot be written.
        """
        self._switch(self._all, on)

    def _switch(self, named: Callable[[], list[str]], on: bool) -> None:
        self._recordings.switch(named, on, where=self._where)
        self._scripted.add(self._part)

    def _all(self) -> list[str]:
        if not self._names:
            raise DescriptionError(
                "nothing of it is recorded",
                where=self._where,
                allowed="parts with recordings in the network's description",
            )
        return [*self._names.values()]

    @property
    def _where(self) -> str:
        return f"record of {self._part!r}"

    def _name(self, key: str) -> str:
        if not isinstance(key, str) or key not in self._names:
            raise unknown_name_error("recording", str(key), self._names, where=self._where)
        return self._names[key]

    def __repr__(self) -> str:
        return repr(dict(self))
