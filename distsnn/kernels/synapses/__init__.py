"""One module per synapse model: the effect of a spike on the source's state and weights.

State and parameters of a source are one record of float64, because every spike needs all of it:

    states | constants | factor

HEADER words precede the first record: the smallest and largest factor that are allowed, with room
for rounding, and the first fault, a factor that is not allowed: the step of its spike (0: none),
the first word of its record, and the factor. Their positions are negative: they count from the
first record.

A module has

    STATES      names of the states, the first columns of a record; the last of them, ``last``, is
                the step at which the others are known
    CONSTANTS   names of the constants, the next columns
    INITIAL     values with which states begin, or the names of constants; others begin at 0
    constants   ``constants(parameters, dt)`` returns the constants by name, each with a value per
                source, of arrays of the parameters; dt in ms
    spike       an entry, ``spike(table, records, start, last, step)``: it advances the record that
                starts at word `start` to the source's next spike, at `step` (not before the last
                spike's), and writes the factor of the spike's weights into the record's last word
    bring_up    ``bring_up(records, step)`` brings all records up to a step, not before their last
                spikes, without a spike; an array of shape (n, size) is changed

`distsnn.kernels.source_spikes` calls the entry. `distsnn.codegen.transmission` generates the
modules from equations; `given_factor` is written by hand.
"""

import numpy as np
import numpy.typing as npt

from distsnn.kernels.functions import checked_log_array, exp_array

Floats = npt.NDArray[np.float64]

# A cache line, so that records stay as they are aligned.
HEADER = 8
MIN_FACTOR, MAX_FACTOR, FAULT_STEP, FAULT_RECORD, FAULT_FACTOR = -1, -2, -3, -4, -5
# Of the largest factor: what rounding may add to it, or take from 0.
_ROUNDING = 1e-9

# Beyond this argument e^-x would come close to the smallest normal number.
_LARGEST_ARGUMENT = 600.0


def make_records(n: int, size: int, max_factor: float) -> tuple[Floats, Floats]:
    """Return the header, and records of zeros, shape (n, size), behind it in memory."""
    words = np.zeros(HEADER + n * size)
    words[HEADER + MIN_FACTOR] = -_ROUNDING * max_factor
    words[HEADER + MAX_FACTOR] = (1.0 + _ROUNDING) * max_factor
    return words[:HEADER], words[HEADER:].reshape(n, size)


def lower_gamma(a: Floats | float, x: Floats | float) -> Floats:
    """Return the lower incomplete gamma function, with the same bits on every machine.

    The series x^a e^-x (1/a + x/(a (a + 1)) + x²/(a (a + 1) (a + 2)) + ...) has positive terms.

    Parameters
    ----------
    a : float or ndarray of float64
        Above 0.
    x : float or ndarray of float64
        From 0 to 600. The result is NaN beyond these ranges.
    """
    a, x = np.broadcast_arrays(np.asarray(a, np.float64), np.asarray(x, np.float64))
    valid = (a > 0.0) & (x >= 0.0) & (x <= _LARGEST_ARGUMENT)
    a, x = np.where(valid, a, 1.0), np.where(valid, x, 0.0)
    term = 1.0 / a
    total, n = term, 0
    # smaller terms change no sum: their number does not depend on other elements
    while np.any(term > 1e-17 * total):
        n += 1
        term = term * (x / (a + n))
        total = total + term
    powers = exp_array(a * checked_log_array(np.where(x > 0.0, x, 1.0))) * exp_array(-x)
    return np.where(valid, np.where(x > 0.0, powers * total, 0.0), np.nan)
