"""Exact steps of linear equations: the matrix exponential, by + − × ÷ alone.

The same bits on every machine and for every way of cutting up the neurons: no matrix product of a
library, whose sums are taken in an order of its own, and no number of steps that depends on other
neurons. There is no special case where time constants are equal.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Matrix = dict[tuple[int, int], Floats]

# Terms of the series; the next is below 1e-17 where rows of the matrix sum to 1 at most.
_TERMS = 18


def exponential(size: int, entries: Mapping[tuple[int, int], Floats], h: float) -> Matrix:
    """Return what takes x' = A x + B u over a time h: x(h) = P x(0) + Q u, u constant.

    Parameters
    ----------
    size : int
        Number of equations.
    entries : mapping of (int, int) to ndarray of float64, shape () or (n,)
        Entries of (A, B): those from column `size` on are B's. What is missing is 0.
    h : float
        Time.

    Returns
    -------
    dict of (int, int) to ndarray
        All entries of P, and those of Q in columns that B has.
    """
    matrix = {place: np.asarray(value * h) for place, value in entries.items()}
    halvings = _halvings(size, matrix)
    smaller = np.ldexp(1.0, -halvings)
    matrix = {place: value * smaller for place, value in matrix.items()}
    columns = {column for _, column in matrix} | set(range(size))
    identity: Matrix = {(column, column): np.ones(()) for column in columns}
    # 1 + A/1 (1 + A/2 (1 + ... A/18))
    found = identity
    for term in range(_TERMS, 0, -1):
        product = _product(matrix, found)
        found = dict(identity)
        for place, value in product.items():
            found[place] = value / term + (1.0 if place in identity else 0.0)
    for done in range(int(np.max(halvings))):
        squared = _product(found, found)
        found = {
            place: np.where(done < halvings, value, found.get(place, 0.0))
            for place, value in squared.items()
        }
    # what a long chain of equations couples by more steps than there are terms is 0
    places = ((row, column) for row in range(size) for column in sorted(columns))
    return {place: found.get(place, np.zeros(())) for place in places}


def _halvings(size: int, matrix: Matrix) -> npt.NDArray[np.intc]:
    """Return how often each neuron's matrix is halved for its rows to sum to 1 at most."""
    largest = np.zeros(())
    for row in range(size):
        total = np.zeros(())
        for column in range(size):
            if (row, column) in matrix:
                total = total + np.abs(matrix[row, column])
        largest = np.maximum(largest, total)
    return np.maximum(np.frexp(largest)[1], 0)


def _product(left: Matrix, right: Matrix) -> Matrix:
    found: Matrix = {}
    for (row, inner), a in left.items():
        for (other, column), b in right.items():
            if other == inner:
                term = a * b
                place = row, column
                found[place] = found[place] + term if place in found else term
    return found
