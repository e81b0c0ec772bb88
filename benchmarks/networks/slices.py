"""Traffic graphs of slices, made by hand, for mappings onto boards."""

import numpy as np

from distsnn.partition.traffic import TrafficGraph


def of_matrix(synapses: np.ndarray, neurons: int | np.ndarray = 256, rate=5.0) -> TrafficGraph:
    """Make a graph of a matrix of expected synapses, each slice a population of its own."""
    n = len(synapses)
    source, target = np.nonzero(synapses)
    return TrafficGraph(
        np.arange(n, dtype=np.int32),
        np.zeros(n, np.int64),
        np.broadcast_to(np.asarray(neurons, np.int64), n).copy(),
        np.broadcast_to(np.asarray(rate, np.float64), n).copy(),
        np.searchsorted(source, np.arange(n + 1)).astype(np.int64),
        target.astype(np.int32),
        synapses[source, target].astype(np.float64),
        np.ones(source.size, np.int32),
    )


def all_to_all(n: int, **more) -> TrafficGraph:
    """Make a graph in which each slice reaches all."""
    return of_matrix(np.full((n, n), 1000.0), **more)


def sparse(n: int, targets: int, seed: int = 1, **more) -> TrafficGraph:
    """Make a graph in which each slice reaches some others, at random."""
    rng = np.random.default_rng(seed)
    matrix = np.zeros((n, n))
    for row in matrix:
        row[rng.choice(n, min(targets, n), replace=False)] = 1000.0
    return of_matrix(matrix, **more)


def modular(modules: int, each: int, between: int, seed: int = 1, **more) -> TrafficGraph:
    """Make a graph of modules, all to all inside, a few edges between; slices are shuffled."""
    rng = np.random.default_rng(seed)
    n = modules * each
    matrix = np.kron(np.eye(modules), np.full((each, each), 1000.0))
    for row in matrix:
        row[rng.choice(n, between, replace=False)] = 10.0
    order = rng.permutation(n)
    return of_matrix(matrix[np.ix_(order, order)], **more)


def unequal(n: int, seed: int = 1) -> np.ndarray:
    """Return lognormal rates of slices, spikes/s: a few send most."""
    return np.random.default_rng(seed).lognormal(1.0, 1.2, n)
