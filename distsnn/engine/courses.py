"""Time courses of stimuli: when they act, on which neurons, and their values over time."""

import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from distsnn.engine.kernel_calls import FOREVER, KernelCall
from distsnn.engine.local_neurons import LocalNeurons
from distsnn.kernels import sines
from distsnn.network import Piecewise, PopulationView, Sine
from distsnn.network.checks import steps_array
from distsnn.units import to_steps

Floats = npt.NDArray[np.float64]
Words = npt.NDArray[np.uint64]


def in_view(neurons: LocalNeurons, view: PopulationView) -> npt.NDArray[np.int64]:
    """Return each local slot's index within a view, -1 outside and for padding."""
    return view.positions(neurons.neurons)


def window(start: float, stop: float, dt: float) -> tuple[int, int]:
    """Return the half-open range of iterations in which a stimulus acts, (start, stop] ms."""
    last = FOREVER if stop == math.inf else to_steps(stop, dt, where="stop")
    return to_steps(start, dt, where="start"), last


def pieces(
    value: float | Floats | Piecewise, start: int, stop: int, dt: float
) -> Iterator[tuple[int, int, float | Floats]]:
    """Yield (first, last, value) of a piecewise constant quantity: iterations first <= k < last."""
    if not isinstance(value, Piecewise):
        yield start, stop, value
        return
    bounds = [*steps_array(value.times, dt, where="times").tolist(), FOREVER]
    for i in range(value.times.size):
        low, high = max(start, bounds[i]), min(stop, bounds[i + 1])
        if low < high:
            piece = value.values[i]
            yield low, high, piece if np.ndim(piece) else float(piece)


def seed_words(table: npt.NDArray[np.int64], low: int, high: int, seed: int) -> None:
    """Set two words of a table to the halves of a seed."""
    table[low], table[high] = seed & 0xFFFFFFFF, seed >> 32


def spread(index: npt.NDArray[np.int64], value: float | Floats, outside: float) -> Floats:
    """Return each slot's value, by its index within a view."""
    each = value[index] if isinstance(value, np.ndarray) and value.ndim else value
    return np.where(index >= 0, each, outside)


def phase_words(degrees: Floats) -> Words:
    """Return phases in degrees as fractions of a turn, in units of 2^-64."""
    turns = np.fmod(degrees, 360.0) / 360.0
    signed = (turns - np.floor(turns + 0.5)) * 2.0**64
    return signed.astype(np.int64).view(np.uint64)


def turn_words(frequencies: Floats, dt: float) -> tuple[Words, Words]:
    """Return the turns of a time step in units of 2^-64, and the remainders in units of 2^-96.

    Parameters
    ----------
    frequencies : ndarray of float64, shape (n,), Hz
        From 0 to 500 / dt.
    dt : float, ms
        Time step, which is meant as the decimal number that it is written as.

    Returns
    -------
    turns, remainders : ndarray of uint64, shape (n,)
    """
    unique, inverse = np.unique(frequencies, return_inverse=True)
    step = Fraction(repr(float(dt))) / 1000
    words = [int(Fraction(frequency) * step * 2**96) for frequency in unique.tolist()]
    turns = np.array([word >> 32 for word in words], np.uint64)
    remainders = np.array([word & 0xFFFFFFFF for word in words], np.uint64)
    return turns[inverse], remainders[inverse]


def sine_call(
    sine: Sine,
    index: npt.NDArray[np.int64],
    values: Floats,
    first: int,
    consumer: KernelCall,
    dt: float,
    scale: float = 1.0,
) -> KernelCall:
    """Return the call that computes `scale` times a sine, in the steps of its consumer.

    Parameters
    ----------
    sine : Sine
        The sine.
    index : ndarray of int64, shape (n,)
        Each value's index within the target, -1 outside.
    values : ndarray of float64, shape (n,)
        Array that the call fills.
    first : int
        The first value's index.
    consumer : KernelCall
        The call that uses the values.
    dt : float, ms
        Time step.
    scale : float
        A factor.
    """
    # shared values are also shared outside the target
    phases, frequencies = (
        spread(index, value, 0.0 if isinstance(value, np.ndarray) else value)
        for value in (sine.phase, sine.frequency)
    )
    common_wave = isinstance(sine.phase, float) and isinstance(sine.frequency, float)
    turns, remainders = turn_words(frequencies, dt)
    call = KernelCall(
        sines.sines(common_wave),
        np.zeros(sines.TABLE_SIZE, np.int64),
        first,
        first + values.size,
        start=consumer.start,
        stop=consumer.stop,
    )
    for position, array in (
        (sines.VALUES, values),
        (sines.AMPLITUDES, spread(index, sine.amplitude, 0.0) * scale),
        (sines.OFFSETS, spread(index, sine.offset, 0.0) * scale),
        (sines.PHASES, phase_words(phases)),
        (sines.TURNS, turns),
        (sines.REMAINDERS, remainders),
    ):
        call.bind(position, array, first)
    return call
