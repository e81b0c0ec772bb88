"""Exact steps of linear equations: the matrix exponential, from + − × ÷ only.

The result has the same bits on every machine and for every division of the neurons: the products
use no library, whose order of sums may vary, and the number of steps does not depend on other
neurons. Equal time constants need no special case.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Matrix = dict[tuple[int, int], Floats]

# Terms of the series; the next is below 1e-17 where rows of the matrix sum to 1 at most.
_TERMS = 18


def exponential(size: int, entries: Mapping[tuple[int, int], Floats], h: float) -> Matrix:
    """Return the propagators of x' = A x + B u over a time h: x(h) = P x(0) + Q u, u constant.

    Parameters
    ----------
    size : int
        Number of equations.
    entries : mapping of (int, int) to ndarray of float64, shape () or (n,)
        Entries of (A, B), where columns from `size` belong to B. Missing entries are 0.
    h : float
        Time.

    Returns
    -------
    dict of (int, int) to ndarray
        All entries of P, and entries of Q in the columns of B.
    """
    matrix = {place: np.asarray(value * h) for place, value in entries.items()}
    halvings = _halvings(size, matrix)
    smaller = np.ldexp(1.0, -halvings)
    matrix = {place: value * smaller for place, value in matrix.items()}
    columns = {column for _, column in matrix} | set(range(size))
    identity: Matrix = {(column, column): np.ones(()) for column in columns}
    # 1 + A/1 (1 + A/2 (1 + ... A/18))
    series = identity
    for term in range(_TERMS, 0, -1):
        product = _product(matrix, series)
        series = dict(identity)
        for place, value in product.items():
            series[place] = value / term + (1.0 if place in identity else 0.0)
    for squaring in range(int(np.max(halvings))):
        squared = _product(series, series)
        series = {
            place: np.where(squaring < halvings, value, series.get(place, 0.0))
            for place, value in squared.items()
        }
    # equations that are coupled by a chain longer than the series have an entry of 0
    places = ((row, column) for row in range(size) for column in sorted(columns))
    return {place: series.get(place, np.zeros(())) for place in places}


def _halvings(size: int, matrix: Matrix) -> npt.NDArray[np.intc]:
    """Return how often each neuron's matrix is halved until its rows sum to at most 1."""
    largest = np.zeros(())
    for row in range(size):
        total = np.zeros(())
        for column in range(size):
            if (row, column) in matrix:
                total = total + np.abs(matrix[row, column])
        largest = np.maximum(largest, total)
    return np.maximum(np.frexp(largest)[1], 0)


def _product(left: Matrix, right: Matrix) -> Matrix:
    product: Matrix = {}
    for (row, inner), a in left.items():
        for (middle, column), b in right.items():
            if middle == inner:
                term = a * b
                place = row, column
                product[place] = product[place] + term if place in product else term
    return product
