"""Builds a rank's row sets: the synapses onto its own neurons, and no others.

Row set by row set, population of sources by population, a slice of sources at a time: counts and
sorted edges of the slice first, then all its rows. Synapses that do not fit their words, and given
edges, are collected and become the last row sets, with 8-byte words.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distsnn.counter_rng import WIRING
from distsnn.engine import edges
from distsnn.engine.layout import Layout
from distsnn.engine.row_sets import Generator, GrowingRowSet, RowSet
from distsnn.engine.storage import RowSetPlan, choose, explicit_plan, planes, scaled_by
from distsnn.engine.value_columns import integer_weights, value_columns
from distsnn.errors import DescriptionError
from distsnn.kernels import trees, wiring, wiring_draws
from distsnn.kernels import wiring_columns as columns
from distsnn.network import (
    AllToAll,
    Explicit,
    ExplicitFile,
    FixedIndegree,
    FixedOutdegree,
    FixedTotalNumber,
    OneToOne,
    PairwiseBernoulli,
    Projection,
    delay_steps,
)
from distsnn.network.quanta import Quanta

Ints = npt.NDArray[np.int64]

_SLICE = 512  # sources whose counts are made at a time
_ROOM = 1 << 21  # synapses, at worst, whose rows are written at a time
_EDGE_BYTES = 1 << 27  # sorted edges of fixed indegrees held at a time
_NO_EDGES = np.empty((0, 5), np.int64)
_NO_NUMBERS = np.empty(0, np.int64)

_RULES: dict[type, int] = {
    OneToOne: columns.ONE_TO_ONE,
    AllToAll: columns.ALL_TO_ALL,
    FixedIndegree: columns.INDEGREE,
    FixedOutdegree: columns.OUTDEGREE,
    FixedTotalNumber: columns.TOTAL,
    PairwiseBernoulli: columns.BERNOULLI,
}


@dataclass(eq=False)
class Wiring:
    """A rank's synapses.

    Attributes
    ----------
    row_sets : list of RowSet
        Those that hold synapses.
    generators : list of Generator
        Synapses that are not stored.
    synapses : int
        Their number.
    smallest_delay, largest_delay : int
        Of the delays drawn, steps; (0, 0) where there is no synapse.
    load : ndarray of int64, shape (n_planes, n_local)
        Sum of \\|weights\\| onto each local neuron, quanta.
    """

    row_sets: list[RowSet]
    generators: list[Generator]
    synapses: int
    smallest_delay: int
    largest_delay: int
    load: Ints

    @property
    def nbytes(self) -> int:
        """Bytes of the synapses, and of what those that are not stored are drawn from."""
        return sum(one.nbytes for one in (*self.row_sets, *self.generators))


def build(
    layout: Layout,
    quanta: Quanta,
    seed: int,
    *,
    delivery: str = "auto",
    storage: str = "auto",
    memory_bytes: float = math.inf,
    given: Mapping[int, list[edges.Records]] | None = None,
) -> Wiring:
    """Build the synapses onto a rank's neurons.

    Parameters
    ----------
    layout : Layout
        The rank's neurons.
    quanta : Quanta
        Fixed-point scales.
    seed : int
        The run's seed.
    delivery, storage, memory_bytes
        See `storage.choose`.
    given : mapping of int to list of ndarray, optional
        By index of the projection, records of the edges in its file that end on this rank's
        neurons, in the file's order. The lists are emptied, to free the memory for synapses.

    Raises
    ------
    DescriptionError
        If words cannot hold what a forced choice asks for.
    """
    network = layout.network
    n_planes = max(1, *(len(one.model.receptors) for one in network.populations))
    load = np.zeros((n_planes, layout.n_local), np.int64)
    keys = wiring_draws.object_keys(np.uint64(seed), WIRING, len(network.projections))
    builder = _Builder(layout, quanta, keys, load)
    plans = choose(layout, quanta, delivery=delivery, storage=storage, memory_bytes=memory_bytes)
    for plan in plans:
        builder.add(plan, _NO_EDGES)
    for index, one in enumerate(network.projections):
        if isinstance(one.rule, Explicit):
            builder.give(index, one, edges.array_records(one, network.dt))
        elif isinstance(one.rule, ExplicitFile):
            assert given is not None
            builder.give(index, one, edges.emptied(given[index]))
    for scaled in list(builder.spilled):
        left = np.concatenate(builder.spilled.pop(scaled))
        for plane in np.unique(left[:, 4]).tolist():
            prepared = left[left[:, 4] == plane]
            plan = explicit_plan(layout, int(plane), int(prepared[:, 3].max()), delivery, scaled)
            _check_weights(plan, prepared[:, 2])
            builder.add(plan, prepared)
    return builder.result()


def _check_weights(plan: RowSetPlan, weights: Ints) -> None:
    half = 1 << (plan.field_bits - 1)
    bad = (weights < -half) | (weights >= half)
    if bad.any():
        raise DescriptionError(
            "a word cannot hold target, delay and weight",
            where="delivery" if not plan.pull else "weights",
            value=f"a weight of {int(weights[np.argmax(bad)])} quanta",
            allowed=f"below 2^{plan.field_bits - 1} quanta" if plan.pull else "pull or auto",
        )


class _Builder:
    def __init__(
        self, layout: Layout, quanta: Quanta, keys: npt.NDArray[np.uint64], load: Ints
    ) -> None:
        self.layout, self.quanta, self.keys, self.load = layout, quanta, keys, load
        # what goes into explicit row sets, by what these are scaled by
        self.spilled: dict[int | None, list[Ints]] = {}
        self.row_sets: list[RowSet] = []
        self.generators: list[Generator] = []
        self.synapses = 0
        self.smallest, self.largest = 1 << 40, 0

    def result(self) -> Wiring:
        smallest = self.smallest if self.largest else 0
        return Wiring(
            self.row_sets, self.generators, self.synapses, smallest, self.largest, self.load
        )

    def give(self, index: int, one: Projection, pieces: Iterable[edges.Records]) -> None:
        """Collect the given edges onto this rank's neurons, with weights in quanta."""
        population = self.layout.population_index(one.post.population)
        source_gid = self.layout.network.first_gid[one.pre.population] + one.pre.start
        fields = edges.record_type(one).names
        assert fields is not None
        positive, negative = planes(self.layout, one)
        for piece in pieces:
            local = self.layout.local(population, piece["target"] + np.int64(one.post.start))
            mine = np.flatnonzero(local >= 0)
            if not mine.size:
                continue
            records, local = piece[mine], local[mine]
            weights, delays = wiring_draws.draw_edges(
                np.ascontiguousarray(records["number"]) if "number" in fields else _NO_NUMBERS,
                self.keys[index],
                *value_columns(self.layout, self.quanta, index),
                "weight" not in fields,
                "delay" not in fields,
            )
            if "weight" in fields:
                weights = records["weight"]
            part = np.empty((mine.size, 5), np.int64)
            part[:, 0] = records["source"] + np.int64(source_gid)
            part[:, 1] = local
            part[:, 2] = integer_weights(self.layout, self.quanta, index, weights)
            part[:, 3] = records["delay"] if "delay" in fields else delays
            part[:, 4] = np.where(part[:, 2] >= 0, positive, negative)
            np.add.at(self.load, (part[:, 4], local), np.abs(part[:, 2]))
            self.synapses += mine.size
            self.smallest = min(self.smallest, int(part[:, 3].min()))
            self.largest = max(self.largest, int(part[:, 3].max()))
            self.spilled.setdefault(scaled_by(one, index), []).append(part)

    def add(self, plan: RowSetPlan, prepared: Ints) -> None:
        """Build one row set from its plan's projections and prepared edges."""
        prepared = prepared[np.argsort(prepared[:, 0], kind="stable")]
        growing = GrowingRowSet(plan, self.layout, self._estimate(plan) + len(prepared))
        for population in self.layout.network.populations:
            members = [
                index
                for index in plan.projections
                if self.layout.network.projections[index].pre.population == population.name
            ]
            gid = self.layout.network.first_gid[population.name]
            low, high = np.searchsorted(prepared[:, 0], [gid, gid + population.size])
            if members or low < high:
                part = _Part(self, plan, members)
                part.build(growing, gid, population.size, prepared[low:high])
                if plan.procedural:
                    self.generators.append(part.generator(gid, population.size))
        if growing.spilled:
            self.spilled.setdefault(plan.scaled_by, []).extend(growing.spilled)
        numbers = growing.numbers
        self.synapses += int(numbers[columns.SYNAPSES])
        if numbers[columns.LARGEST]:
            self.smallest = min(self.smallest, int(numbers[columns.SMALLEST]))
            self.largest = max(self.largest, int(numbers[columns.LARGEST]))
        if numbers[columns.USED_WORDS] and not plan.procedural:
            self.row_sets.append(growing.finish())

    def _estimate(self, plan: RowSetPlan) -> int:
        if plan.procedural:
            return 0
        share = self.layout.n_neurons / self.layout.network.n_neurons
        expected = 0.0
        for index in plan.projections:
            one = self.layout.network.projections[index]
            expected += one.rule.expected_synapses(one.pre.size, one.post.size, one.same)
        return int(expected * share * 1.01 + 8 * (expected * share) ** 0.5) + 1024


class _Part:
    """The projections of a row set whose sources are in one population, as arrays."""

    def __init__(self, builder: _Builder, plan: RowSetPlan, members: list[int]) -> None:
        self.builder, self.plan, self.layout = builder, plan, builder.layout
        self.ints = np.zeros((len(members), columns.N_INT), np.int64)
        self.floats = np.zeros((len(members), columns.N_FLOAT))
        self.keys = builder.keys[members]
        self.cells: list[tuple[int, int, int, int, int]] = []
        self.capacity: list[Ints] = []
        self.owned_before: list[Ints] = []
        self.local_of: list[Ints] = []
        self.weights: list[npt.NDArray[np.float64]] = []
        self.delays: list[npt.NDArray[np.int32]] = []
        self.n_tree = self.n_weights = self.n_delays = 0
        self.projections = [self.layout.network.projections[index] for index in members]
        for p, (index, one) in enumerate(zip(members, self.projections, strict=True)):
            self.ints[p], self.floats[p] = value_columns(self.layout, builder.quanta, index)
            self._rule(p, one)
            self._arrays(p, one)
            self._blocks(p, one)

    def _rule(self, p: int, one: Projection) -> None:
        rule, row = one.rule, self.ints[p]
        row[columns.RULE] = _RULES[type(rule)]
        row[columns.PRE_START], row[columns.N_PRE] = one.pre.start, one.pre.size
        row[columns.N_POST] = one.post.size
        row[columns.AUTAPSES] = not (one.same and rule.skips_autapses)
        row[columns.MULTAPSES] = getattr(rule, "multapses", True)
        if isinstance(rule, FixedIndegree):
            row[columns.NUMBER] = rule.indegree
        if isinstance(rule, FixedOutdegree):
            row[columns.NUMBER] = rule.outdegree
        if isinstance(rule, PairwiseBernoulli):
            self.floats[p, columns.PROBABILITY] = rule.p

    def _arrays(self, p: int, one: Projection) -> None:
        if isinstance(one.weight, np.ndarray):
            self.ints[p, columns.WEIGHT_AT] = self.n_weights
            self.weights.append(one.weight.reshape(-1))
            self.n_weights += one.weight.size
        if isinstance(one.delay, np.ndarray):
            self.ints[p, columns.DELAY_AT] = self.n_delays
            self.delays.append(delay_steps(one.delay, self.layout.network.dt).reshape(-1))
            self.n_delays += one.delay.size

    def _blocks(self, p: int, one: Projection) -> None:
        """Cut the post view into its blocks: cells for owned ones, prefix sums for all."""
        table, row = self.layout.table, self.ints[p]
        population = self.layout.population_index(one.post.population)
        low = one.post.start // table.block_size
        high = (one.post.stop - 1) // table.block_size + 1
        numbers = np.arange(low, high)
        starts = np.maximum(numbers * table.block_size, one.post.start) - one.post.start
        stops = np.minimum((numbers + 1) * table.block_size, one.post.stop) - one.post.start
        local = self.layout.blocks_of(population)[numbers]
        owned = local >= 0
        # local number of a neuron = local_of + its number within the view
        offset = local - numbers * table.block_size + one.post.start
        sizes = stops - starts
        before = np.concatenate([[0], np.cumsum(owned)]).astype(np.int64)
        totals = np.zeros(int(before[-1]), np.int64)
        if isinstance(one.rule, FixedTotalNumber):
            pairs = sizes * one.pre.size - (0 if row[columns.AUTAPSES] else sizes)
            prefix = np.concatenate([[0], np.cumsum(pairs)]).astype(np.int64)
            trees.split_blocks(one.rule.n, prefix, before, False, self.keys[p], totals)
        row[columns.CELL_FIRST] = len(self.cells)
        for position, k in enumerate(np.flatnonzero(owned)):
            local_first = int(offset[k] + starts[k])
            cell = (int(numbers[k]), int(starts[k]), int(sizes[k]), local_first)
            self.cells.append((*cell, int(totals[position])))
        row[columns.CELL_LAST] = len(self.cells)
        row[columns.TREE_FIRST], row[columns.TREE_SIZE] = self.n_tree, sizes.size + 1
        self.capacity.append(np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64))
        self.owned_before.append(before)
        self.local_of.append(np.append(offset, -1).astype(np.int64))
        self.n_tree += sizes.size + 1

    def _edge_slices(self, size: int) -> Iterator[tuple[int, int]]:
        """Cut the sources so that the sorted edges of fixed indegrees stay within their budget."""
        edges = sum(
            int(row[columns.NUMBER]) * sum(cell[2] for cell in self._cells_of(row))
            for row in self.ints
            if row[columns.RULE] == columns.INDEGREE
        )
        pieces = max(1, -(-edges * 8 // _EDGE_BYTES))
        step = -(-size // pieces)
        step += -step % _SLICE
        for first in range(0, size, step):
            yield first, min(first + step, size)

    def _cells_of(self, row: Ints) -> list[tuple[int, int, int, int, int]]:
        return self.cells[row[columns.CELL_FIRST] : row[columns.CELL_LAST]]

    def build(self, growing: GrowingRowSet, gid: int, size: int, prepared: Ints) -> None:
        """Write the rows of all sources of the population."""
        n = len(self.projections)
        cells = self._cell_table()
        capacity, owned_before, local_of = self._tree_tables()
        weights, delays = self._given()
        block = self.layout.table.block_size
        taken = np.zeros((block >> 6) + 1, np.uint64)
        delay_counts = np.zeros(self.plan.longest + 2, np.int64)
        fixed = self._longest_fixed()
        self.longest = 1
        for from_source, to_source in self._edge_slices(size):
            starts = np.zeros((n, to_source - from_source + 1), np.int64)
            edges = self._sorted_edges(cells, from_source, to_source, starts)
            for first in range(from_source, to_source, _SLICE):
                last = min(first + _SLICE, to_source)
                counts = np.zeros((last - first, len(cells)), np.int32)
                wiring_draws.total_number_counts(self.ints, cells, self.keys, first, last, counts)
                own = starts[:, first - from_source : last - from_source + 1]
                bounds = np.searchsorted(prepared[:, 0], gid + np.arange(first, last + 1)).astype(
                    np.int64
                )
                longest = fixed + int(counts.sum(axis=1).max(initial=0))
                longest += int(np.diff(own).sum(axis=0).max(initial=0))
                longest += int(np.diff(bounds).max(initial=0))
                if longest == 0:
                    continue
                self.longest = max(self.longest, longest)
                step = max(1, _ROOM // longest)
                for low in range(first, last, step):
                    high = min(low + step, last)
                    part = slice(low - first, high - first)
                    ends = slice(low - first, high - first + 1)
                    if self.plan.procedural:  # counted, but not kept
                        growing.numbers[[columns.USED_WORDS, columns.USED_ROWS]] = 0
                    growing.room(longest * (high - low))
                    spilled = np.empty((longest * (high - low), 5), np.int64)
                    growing.numbers[columns.N_SPILLED] = 0
                    wiring.build_rows(
                        growing.numbers,
                        gid,
                        low,
                        high,
                        self.ints,
                        self.floats,
                        self.keys,
                        cells,
                        counts[part],
                        capacity,
                        owned_before,
                        local_of,
                        np.ascontiguousarray(own[:, ends]),
                        edges,
                        weights,
                        delays,
                        bounds[ends],
                        prepared[:, 1:],
                        np.empty((8, longest), np.int64),
                        np.empty(longest, np.uint8),
                        taken,
                        delay_counts,
                        self.builder.load,
                        spilled,
                        growing.words,
                        growing.runs,
                        growing.rows,
                        growing.run_rows,
                        growing.bitmap,
                    )
                    n_spilled = int(growing.numbers[columns.N_SPILLED])
                    if n_spilled:
                        growing.spilled.append(spilled[:n_spilled].copy())

    def generator(self, gid: int, size: int) -> Generator:
        """Return what draws the population's synapses again, after they were built once."""
        return Generator(
            self.plan,
            gid,
            size,
            self.ints,
            self.floats,
            self.keys,
            self._cell_table(),
            *self._tree_tables()[:2],
            *self._given(),
            self.longest,
            self.layout.table.block_size,
        )

    def _cell_table(self) -> Ints:
        return np.array(self.cells, np.int64).reshape(-1, columns.N_CELL)

    def _tree_tables(self) -> tuple[Ints, Ints, Ints]:
        tables = (self.capacity, self.owned_before, self.local_of)
        capacity, owned_before, local_of = (
            np.concatenate([*arrays, np.empty(0, np.int64)]) for arrays in tables
        )
        return capacity, owned_before, local_of

    def _given(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]:
        return (
            np.concatenate([*self.weights, np.empty(0)]),
            np.concatenate([*self.delays, np.empty(0, np.int32)]),
        )

    def _longest_fixed(self) -> int:
        """Return the most synapses of one source from rules whose counts are not made yet."""
        longest = 0
        for row in self.ints:
            rule = row[columns.RULE]
            if rule in (columns.ALL_TO_ALL, columns.BERNOULLI):
                longest += sum(cell[2] for cell in self._cells_of(row))
            elif rule == columns.OUTDEGREE:
                longest += int(row[columns.NUMBER])
            elif rule == columns.ONE_TO_ONE:
                longest += 1
        return longest

    def _sorted_edges(
        self, cells: Ints, first: int, last: int, starts: Ints
    ) -> npt.NDArray[np.uint64]:
        """Return the edges of fixed-indegree projections, and fill where each source's start."""
        empty = np.empty(0, np.uint64)
        pieces, total = [], 0
        for p, row in enumerate(self.ints):
            if row[columns.RULE] != columns.INDEGREE:
                continue
            arguments = (p, self.ints, cells, self.keys[p], first, last)
            wiring_draws.indegree_edges(*arguments, starts[p], empty)
            piece = np.empty(int(starts[p, -1]), np.uint64)
            wiring_draws.indegree_edges(*arguments, starts[p], piece)
            starts[p] += total
            total += piece.size
            pieces.append(piece)
        return np.concatenate(pieces) if pieces else empty
