"""Calls of compiled entries from Python, as the loop makes them."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from distsnn.codegen import update as codegen
from distsnn.engine.courses import phase_words, turn_words
from distsnn.engine.tables import Call, invoke
from distsnn.jit import FLAGS
from distsnn.kernels import emission, gammas, neuron_draws, poisson, rows, sines
from distsnn.network import SubsteppedNeuron, get_neuron_model

DT = 0.1  # ms

Floats = npt.NDArray[np.float64]


@cache
def compiled(function: Any) -> Any:
    """Return what kernels call, compiled to be called from Python."""
    return numba.njit(**FLAGS)(function.py_func)


def counters(n: int) -> npt.NDArray[np.uint32]:
    """Return the Philox counters of n neurons (a multiple of 64) of one population."""
    return np.arange(n // 8, dtype=np.uint32)


def defaults(model: str, **given: float) -> dict[str, float]:
    """Return a model's parameters, with given ones in place of defaults, for steps of DT."""
    described = get_neuron_model(model)(**given)
    found: dict[str, float] = {name: described.value(name) for name in described.parameters()}
    if isinstance(described, SubsteppedNeuron):
        found["substeps"] = float(described.parts(DT))
    return found


def sine_call(
    amplitudes: Floats,
    frequencies: Floats,
    phases: Floats,
    offsets: Floats,
    dt: float,
    common_wave: bool,
) -> tuple[Call, Floats]:
    """Return a call that computes sines, and the array that it fills."""
    values = np.full(amplitudes.size, np.nan)
    table = np.zeros(sines.TABLE_SIZE, np.int64)
    call = Call(sines.sines(common_wave), table, 0, values.size)
    turns, remainders = turn_words(frequencies, dt)
    for at, array in (
        (sines.VALUES, values),
        (sines.AMPLITUDES, amplitudes),
        (sines.OFFSETS, offsets),
        (sines.PHASES, phase_words(phases)),
        (sines.TURNS, turns),
        (sines.REMAINDERS, remainders),
    ):
        call.point(at, array)
    return call, values


class PoissonCall:
    """A Poisson entry over n neurons (a multiple of 64) and the row that it adds to."""

    def __init__(
        self,
        means: float | npt.NDArray[np.float64],
        n: int,
        *,
        weights: npt.ArrayLike = 1,
        row_bits: int = 32,
        search: bool | None = None,
        varies: bool = False,
        correlation: float = 0.0,
        stimulus: int = 0,
        seed: int = 1,
    ) -> None:
        kind = np.int32 if row_bits == 32 else np.int64
        self.row = np.zeros(n, kind)
        given = np.atleast_1d(np.asarray(weights, kind))
        if correlation:
            entry = poisson.copied_rate_entry(row_bits)
            given = np.ascontiguousarray(np.broadcast_to(given, n))
            means = np.full(1, means / correlation)
        elif isinstance(means, float):
            if search is None:
                search = varies or poisson.uses_table_search(means)
            entry = poisson.shared_rate_entry(row_bits, search, given.size == 1, varies)
        else:
            entry = poisson.neuron_rates_entry(row_bits, varies)
            given = np.ascontiguousarray(np.broadcast_to(given, n))
        self.call = Call(entry, np.zeros(poisson.TABLE_SIZE, np.int64), 0, n)
        self.call.point(rows.RING, self.row)
        self.call.table[rows.STRIDE] = n
        self.call.point(poisson.COUNTERS, counters(n))
        self.call.point(poisson.WEIGHTS, given)
        self.call.table[poisson.STIMULUS_ID] = stimulus
        self.call.table[poisson.SEED_LOW] = seed & 0xFFFFFFFF
        self.call.table[poisson.SEED_HIGH] = seed >> 32
        if isinstance(means, float):
            exact = np.zeros(poisson.MOST_THRESHOLDS, np.uint64)
            self.guide = np.zeros(poisson.GUIDE_SIZE, np.int64)
            self.call.point(poisson.THRESHOLDS, exact)
            if varies:
                self.call.point(poisson.MEANS, np.full(1, means))
            else:
                self.exact = exact[: poisson.tabulate(means, exact, self.guide)]
                self.call.table[poisson.N_THRESHOLDS] = self.exact.size
            self.call.point(poisson.GUIDE, self.guide)
            self.call.point(poisson.SCRATCH, np.zeros(poisson.SCRATCH_BYTES, np.uint8))
        else:
            self.call.point(poisson.MEANS, means)
            self.call.table[poisson.COPIED] = round(correlation * 2**32)
            if not (varies or correlation):
                self.call.point(poisson.CONSTANTS, poisson.neuron_rate_constants(means))

    def counts(self, step: int, *cuts: int) -> npt.NDArray[np.signedinteger]:
        """Return what a step adds to the row, with the range cut at given neurons."""
        self.row[:] = 0
        for low, high in zip((0, *cuts), (*cuts, self.row.size), strict=True):
            assert invoke(self.call, step, low, high) == 0
        return self.row.copy()


class GammaCall:
    """A gamma entry over n neurons (a multiple of 64) and the row that it adds to."""

    def __init__(
        self, means: npt.NDArray[np.float64], order: float, processes: int, *, seed: int = 1
    ) -> None:
        n = means.size
        self.row, self.times = np.zeros(n, np.int32), np.zeros((n, 1 + processes))
        low, high = seed & 0xFFFFFFFF, seed >> 32
        gammas.fill_in_equilibrium(self.times, counters(n), order, 0, low, high)
        self.times[:, 1:].sort(axis=1)
        self.call = Call(gammas.gammas(32), np.zeros(poisson.TABLE_SIZE, np.int64), 0, n)
        self.call.point(rows.RING, self.row)
        self.call.table[rows.STRIDE] = n
        for at, array in (
            (poisson.COUNTERS, counters(n)),
            (poisson.WEIGHTS, np.ones(n, np.int32)),
            (poisson.MEANS, means),
            (gammas.TIMES, self.times),
        ):
            self.call.point(at, array)
        self.call.table[poisson.SEED_LOW], self.call.table[poisson.SEED_HIGH] = low, high
        self.call.table[gammas.N_TIMES] = 1 + processes
        self.call.scalars[gammas.ORDER] = order

    def counts(self, step: int, *cuts: int) -> npt.NDArray[np.signedinteger]:
        """Return what a step adds to the row, with the range cut at given neurons."""
        self.row[:] = 0
        for low, high in zip((0, *cuts), (*cuts, self.row.size), strict=True):
            assert invoke(self.call, step, low, high) == 0
        return self.row.copy()


class NeuronCall:
    """A neuron model's update over `size` neurons, padded to 64, with its states and input rows."""

    def __init__(
        self,
        model: str,
        parameters: Mapping[str, float | npt.NDArray[np.float64]],
        size: int,
        *,
        dt: float = 0.1,
        precision: str = "float64",
        row_bits: int = 32,
        current: bool = False,
        quanta: Mapping[str, float] | None = None,
        ring_rows: int = 1,
        first_gid: int = 0,
        seed: int = 1,
    ) -> None:
        own = "_kernel" in model or "_generated_" in model
        name = model if own else f"distsnn.kernels.neurons.{model}"
        kernel = codegen.neuron_kernel(name)
        self.size, self.n = size, -(-size // 64) * 64
        padded = {key: self._padded(np.asarray(value)) for key, value in parameters.items()}
        with np.errstate(all="ignore"):  # as the engine does
            self.constants = kernel.propagators(padded, dt)
        self.variant = codegen.Variant.of(
            name,
            self.constants,
            precision=precision,
            row_bits=row_bits,
            counts=("refractory",),
            current=current,
        )
        where = codegen.layout(self.variant)
        call = Call(
            codegen.update_entry(self.variant),
            np.zeros(where.size, np.int64),
            0,
            self.n,
            np.zeros(where.n_scalars),
        )
        self.states = {
            key: np.zeros(self.n, np.int32 if key == "refractory" else precision)
            for key in kernel.STATES
        }
        kind = np.int32 if row_bits == 32 else np.int64
        self.rows = {key: np.zeros((ring_rows, self.n), kind) for key in kernel.RECEPTORS}
        self.current = np.zeros(self.n, precision)
        most = emission.MAX_SPIKES if codegen.is_relay(kernel) else 1
        self._emitted = np.zeros(most * self.n, np.uint32)
        self.counts = np.zeros(emission.COUNTS_SIZE, np.int64)
        call.point(emission.EMITTED, self._emitted)
        call.point(emission.N_EMITTED, self.counts)
        call.point(emission.GROUP_GID, first_gid + 64 * np.arange(self.n // 64, dtype=np.uint32))
        sizes = np.minimum(64, size - 64 * np.arange(self.n // 64))
        call.point(emission.GROUP_SIZE, sizes.astype(np.int32))
        call.point(where.spiked, np.zeros(self.n, np.uint8))
        call.table[where.mask], call.table[where.stride] = ring_rows - 1, self.n
        for key, at in where.rings.items():
            call.point(at, self.rows[key])
            call.scalars[where.quanta[key]] = (quanta or {}).get(key, 1.0)
        for key, at in where.states.items():
            call.point(at, self.states[key])
        for key, at in where.arrays.items():
            widths = {"count": np.int32, "real": precision, "double": np.float64}
            width = widths[kernel.CONSTANTS[key]]
            call.point(at, np.ascontiguousarray(self.constants[key], dtype=width))
        for key in kernel.CONSTANTS:
            if key in where.scalars:
                call.scalars[where.scalars[key]] = float(self.constants[key])
        if current:
            call.point(where.current, self.current)
        call.scalars[where.dt] = dt
        for at, kind in zip(where.draws, codegen.draw_kinds(kernel), strict=True):
            call.point(at, np.zeros(self.n, np.uint64 if kind == "bits" else precision))
            call.point(where.streams + neuron_draws.COUNTERS, counters(self.n))
            call.table[where.streams + neuron_draws.SEED_LOW] = seed
        self.call = call

    def _padded(self, value: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        if not value.ndim:
            return value.astype(np.float64)
        return np.concatenate([value, np.full(self.n - self.size, value[0])])

    def step(self, loop: int, *cuts: int) -> npt.NDArray[np.uint32]:
        """Run a loop, with the range cut at given neurons, and return the gids that spiked."""
        self.counts[emission.COUNT] = 0
        for low, high in zip((0, *cuts), (*cuts, self.n), strict=True):
            assert invoke(self.call, loop, low, high) == 0
        return self._emitted[: int(self.counts[emission.COUNT])].copy()
