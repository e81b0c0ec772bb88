"""State recordings: samples of neurons' states, taken in the epoch loop, read after segments.

States of synapse models are sampled in `engine.source_probes`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.engine.kernel_calls import KernelCall
from distsnn.engine.layout import LocalLayout
from distsnn.engine.local_neurons import LocalNeurons
from distsnn.engine.sub_expressions import sampled_states, sub_expression
from distsnn.kernels import stimuli as kernels
from distsnn.network import Network, RecordState

# Iterations that may run before samples are drained, and the memory that their buffers may take.
MOST_STEPS = 1024
MOST_BYTES = 64 * 2**20
# Values of a sub-expression that are computed at a time.
_MOST_VALUES = 2**16


class SampledProbe:
    """Samples that Python takes at multiples of an interval, a row each.

    Parameters
    ----------
    interval_steps : int
        Steps between samples.
    samples : dict of str to ndarray, shape (capacity, n)
        Arrays of the samples, by variable.
    name : str
        The recording, for errors.

    Attributes
    ----------
    interval_steps : int
        Steps between samples.
    on : bool
        Whether it records.
    """

    def __init__(
        self, interval_steps: int, samples: dict[str, npt.NDArray[Any]], name: str
    ) -> None:
        self.interval_steps, self.on = interval_steps, True
        self._samples, self._name, self._n_rows = samples, name, 0

    def check_room(self, first: int, last: int) -> None:
        """Check that the samples of the steps after first, up to last, fit.

        Raises
        ------
        ValueError
            If they do not: too many steps, or the samples before were not drained.
        """
        n_added = last // self.interval_steps - first // self.interval_steps if self.on else 0
        capacity = len(next(iter(self._samples.values())))
        if self._n_rows + n_added > capacity:
            raise ValueError(
                f"recording {self._name!r}: no room for {n_added} samples in {capacity} rows"
            )

    def add(self, values: Mapping[str, npt.NDArray[Any]]) -> None:
        """Add a row of every variable."""
        for name, samples in self._samples.items():
            samples[self._n_rows] = values[name]
        self._n_rows += 1

    def drain(self) -> dict[str, npt.NDArray[Any]]:
        """Return the new rows of every variable and forget them (the arrays are reused)."""
        new = {name: samples[: self._n_rows] for name, samples in self._samples.items()}
        self._n_rows = 0
        return new


@dataclass(eq=False)
class StateProbe:
    """One state recording on this rank.

    Attributes
    ----------
    recording : RecordState
        The recording.
    neurons : LocalNeurons
        The population's neurons on this rank.
    interval_steps : int
        Iterations between samples; iteration k ends with a sample if k + 1 is a multiple.
    gids : ndarray of uint32, shape (n,)
        This rank's recorded neurons.
    slots : ndarray of int, shape (n,)
        Where they are among the population's neurons.
    offsets : dict of str to ndarray of float64, shape () or (n,)
        Offset of each state variable's samples, from the first to the last.
    moved : dict of str to ndarray of float64, shape () or (n,)
        By how much the states' own offsets have moved from these.
    samples : dict of str to ndarray, shape (capacity, n)
        Samples of state variables, also of those that only sub-expressions depend on; the first
        `rows` rows are new.
    calls : list of KernelCall
        Its entries.
    on : bool
        Whether it records.
    """

    recording: RecordState
    neurons: LocalNeurons
    interval_steps: int
    gids: npt.NDArray[np.uint32]
    slots: npt.NDArray[np.intp]
    offsets: dict[str, npt.NDArray[np.float64]]
    samples: dict[str, npt.NDArray[Any]]
    calls: list[KernelCall]
    rows: dict[str, npt.NDArray[np.int64]]
    moved: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    on: bool = True

    def check_room(self, first: int, last: int) -> None:
        """Check that the samples of iterations first to last fit.

        Raises
        ------
        ValueError
            If they do not: too many iterations, or earlier samples were not drained.
        """
        n_added = last // self.interval_steps - first // self.interval_steps if self.on else 0
        for name, samples in self.samples.items():
            if int(self.rows[name][0]) + n_added > samples.shape[0]:
                raise ValueError(
                    f"recording {self.recording.name!r}: no room for {n_added} samples of {name} "
                    f"in {len(samples)} rows"
                )

    def drain(self) -> dict[str, npt.NDArray[Any]]:
        """Return the new rows of every variable and forget them (the arrays are reused)."""
        new = {name: self._new_rows(name) for name in self.recording.variables}
        for rows in self.rows.values():
            rows[0] = 0
        return new

    def _new_rows(self, name: str) -> npt.NDArray[Any]:
        if name in self.samples:
            rows = self.samples[name][: int(self.rows[name][0])]
            return rows + self.moved[name] if name in self.moved else rows
        states = sampled_states(self.neurons.population.model, [name])
        n_rows = int(self.rows[states[0]][0])
        new = np.empty((n_rows, self.slots.size), self.neurons.real)
        n_at_a_time = max(1, _MOST_VALUES // max(1, self.slots.size))
        for first in range(0, n_rows, n_at_a_time):
            part = slice(first, min(first + n_at_a_time, n_rows))
            values = {
                state: self.samples[state][part].astype(np.float64)
                + self.neurons.offset(state, self.slots)
                for state in states
            }
            new[part] = sub_expression(self.neurons, name, values, self.slots)
        return new

    def follow(self, neurons: LocalNeurons) -> None:
        """Follow the neurons' parameters, which were changed when all samples were drained."""
        for name, offset in self.offsets.items():
            moved = neurons.offset(name, self.slots) - offset
            if moved.any() or name in self.moved:
                self.moved[name] = moved


def max_undrained_steps(network: Network) -> int:
    """Return how many iterations may run before samples are drained (the same on all ranks)."""
    views = [
        (
            recording.target.size * len(_states(network, recording)),
            recording.interval_steps(network.dt),
        )
        for recording in network.recordings
        if isinstance(recording, RecordState)
    ]
    rows = [max(1, MOST_BYTES // (8 * width)) * interval_steps for width, interval_steps in views]
    return min([MOST_STEPS, *rows])


def _states(network: Network, recording: RecordState) -> tuple[str, ...]:
    if recording.projection is not None:
        return recording.variables
    model = network.population(recording.target.population).model
    return sampled_states(model, recording.variables)


def make_state_probes(layout: LocalLayout, neurons: Mapping[str, LocalNeurons]) -> list[StateProbe]:
    """Return this rank's part of all recordings of neurons' states."""
    return [
        _probe(layout, neurons[recording.target.population], recording)
        for recording in layout.network.recordings
        if isinstance(recording, RecordState) and recording.projection is None
    ]


def _probe(layout: LocalLayout, neurons: LocalNeurons, recording: RecordState) -> StateProbe:
    view, interval_steps = recording.target, recording.interval_steps(layout.network.dt)
    chosen = np.flatnonzero(view.positions(neurons.neurons) >= 0)
    gid = layout.network.first_gid[view.population]
    gids = (gid + neurons.neurons[chosen]).astype(np.uint32)
    probe = StateProbe(recording, neurons, interval_steps, gids, chosen, {}, {}, [], {})
    for variable in _states(layout.network, recording):
        source = neurons.states[variable]
        probe.offsets[variable] = neurons.offset(variable, chosen)
        samples = np.zeros(
            (max_undrained_steps(layout.network) // interval_steps + 1, chosen.size), source.dtype
        )
        rows = np.zeros(1, np.int64)
        call = KernelCall(
            kernels.probe(str(source.dtype)),
            np.zeros(kernels.PROBE_TABLE_SIZE, np.int64),
            0,
            source.size,
            every=interval_steps,
            phase=interval_steps - 1,
        )
        call.bind(kernels.SOURCE, source)
        call.bind(kernels.NEURONS, chosen.astype(np.int64))
        call.table[kernels.N_NEURONS] = chosen.size
        call.bind(kernels.SAMPLES, samples)
        call.bind(kernels.N_ROWS, rows)
        probe.samples[variable], probe.rows[variable] = samples, rows
        probe.calls.append(call)
    return probe
