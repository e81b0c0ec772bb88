"""State recordings: samples of chosen neurons' states, taken in the loop, drained between runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.engine.kernel_calls import KernelCall
from distsnn.engine.layout import LocalLayout
from distsnn.engine.local_neurons import LocalNeurons
from distsnn.kernels import stimuli as kernels
from distsnn.network import Network, RecordState

# Loops that may run before samples are drained, and the memory that their buffers may take.
MOST_STEPS = 1024
MOST_BYTES = 64 * 2**20


@dataclass(eq=False)
class StateProbe:
    """One state recording on this rank.

    Attributes
    ----------
    recording : RecordState
        The recording.
    interval_steps : int
        Loops between samples; sampled after loop k where (k + 1) is a multiple.
    gids : ndarray of uint32, shape (n,)
        This rank's recorded neurons.
    slots : ndarray of int, shape (n,)
        Where they are among the population's neurons.
    offsets : dict of str to ndarray of float64, shape () or (n,)
        Offset of each variable's samples, from the first to the last.
    moved : dict of str to ndarray of float64, shape () or (n,)
        By how much the states' own offsets have moved from these.
    samples : dict of str to ndarray, shape (capacity, n)
        Samples; the first `n_rows` rows are new.
    calls : list of KernelCall
        Its entries.
    on : bool
        Whether it records.
    """

    recording: RecordState
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
        """Check that the samples of loops first to last fit.

        Raises
        ------
        ValueError
            If they do not: too many loops, or the samples before were not drained.
        """
        n_added = last // self.interval_steps - first // self.interval_steps if self.on else 0
        for name, samples in self.samples.items():
            if int(self.rows[name][0]) + n_added > samples.shape[0]:
                raise ValueError(f"no room for {n_added} samples of {name} in {len(samples)} rows")

    def drain(self) -> dict[str, npt.NDArray[Any]]:
        """Return the new rows of every variable and forget them (the arrays are reused)."""
        new = {}
        for name, samples in self.samples.items():
            new[name] = samples[: int(self.rows[name][0])]
            if name in self.moved:
                new[name] = new[name] + self.moved[name]
            self.rows[name][0] = 0
        return new

    def follow(self, neurons: LocalNeurons) -> None:
        """Follow the neurons' parameters, which were changed when all samples were drained."""
        for name, offset in self.offsets.items():
            moved = neurons.offset(name, self.slots) - offset
            if moved.any() or name in self.moved:
                self.moved[name] = moved


def max_undrained_steps(network: Network) -> int:
    """Return how many loops may run before samples are drained (the same on all ranks)."""
    views = [
        (recording.target.size * len(recording.variables), recording.interval_steps(network.dt))
        for recording in network.recordings
        if isinstance(recording, RecordState)
    ]
    rows = [max(1, MOST_BYTES // (8 * width)) * interval_steps for width, interval_steps in views]
    return min([MOST_STEPS, *rows])


def make_state_probes(layout: LocalLayout, neurons: Mapping[str, LocalNeurons]) -> list[StateProbe]:
    """Return this rank's part of all state recordings of a network."""
    return [
        _probe(layout, neurons[recording.target.population], recording)
        for recording in layout.network.recordings
        if isinstance(recording, RecordState)
    ]


def _probe(layout: LocalLayout, neurons: LocalNeurons, recording: RecordState) -> StateProbe:
    view, interval_steps = recording.target, recording.interval_steps(layout.network.dt)
    chosen = np.flatnonzero(view.positions(neurons.neurons) >= 0)
    gid = layout.network.first_gid[view.population]
    gids = (gid + neurons.neurons[chosen]).astype(np.uint32)
    probe = StateProbe(recording, interval_steps, gids, chosen, {}, {}, [], {})
    for variable in recording.variables:
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
