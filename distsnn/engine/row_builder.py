"""Writes row sets: row set by row set, population by population, a slice of sources at a time.

Counts and sorted edges of the slice come first, then all its rows.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from distsnn.counter_rng import WIRING
from distsnn.engine import edges
from distsnn.engine.layout import LocalLayout
from distsnn.engine.projection_records import integer_weights, projection_record
from distsnn.engine.row_sets import RowSet, RowSetBuilder, SynapseGenerator
from distsnn.engine.storage import RowSetPlan, receptor_planes, scaled_by
from distsnn.kernels import count_trees, wiring, wiring_draws
from distsnn.kernels import wiring_tables as tables
from distsnn.network import (
    AllToAll,
    FixedIndegree,
    FixedOutdegree,
    FixedTotalNumber,
    OneToOne,
    PairwiseBernoulli,
    Projection,
    delay_steps,
)
from distsnn.network.quanta import WeightQuanta

Ints = npt.NDArray[np.int64]

_SLICE = 512  # sources whose counts are made at a time
_ROOM = 1 << 21  # synapses, at worst, whose rows are written at a time
EDGE_BYTES = 1 << 27  # sorted edges of fixed indegrees held at a time
_NO_NUMBERS = np.empty(0, np.int64)
# An empty array of prepared edges: gid, local target, weight, delay and receptor plane.
NO_EDGES = np.empty((0, 5), np.int64)

_RULES: dict[type, int] = {
    OneToOne: tables.ONE_TO_ONE,
    AllToAll: tables.ALL_TO_ALL,
    FixedIndegree: tables.INDEGREE,
    FixedOutdegree: tables.OUTDEGREE,
    FixedTotalNumber: tables.TOTAL,
    PairwiseBernoulli: tables.BERNOULLI,
}


def make_row_builder(layout: LocalLayout, quanta: WeightQuanta, seed: int) -> "RowBuilder":
    """Return the builder of a rank's synapses in a run of a seed, with none so far."""
    keys = wiring_draws.object_keys(np.uint64(seed), WIRING, len(layout.network.projections))
    return RowBuilder(layout, quanta, keys, np.zeros((layout.n_planes, layout.n_local), np.int64))


class RowBuilder:
    """The built synapses of a rank, with the sum of weights onto each neuron.

    Parameters
    ----------
    layout : LocalLayout
        The rank's neurons.
    quanta : WeightQuanta
        Fixed-point scales.
    keys : ndarray of uint64, shape (n_projections,)
        Streams of the projections.
    load : ndarray of int64, shape (n_planes, n_local)
        Sum of \\|weights\\| onto each local neuron, quanta; added to.

    Attributes
    ----------
    row_sets : list of RowSet
        The built row sets.
    generators : list of SynapseGenerator
        What draws synapses that are not stored.
    overflow_synapses : dict of int or None to list of ndarray
        Synapses that fit no row set, by what these are scaled by: gid, local target, weight,
        delay and receptor plane.
    synapses, min_delay, max_delay : int
        Number of synapses, their shortest and longest delay.
    """

    def __init__(
        self, layout: LocalLayout, quanta: WeightQuanta, keys: npt.NDArray[np.uint64], load: Ints
    ) -> None:
        self.layout, self.quanta, self.keys, self.load = layout, quanta, keys, load
        self.overflow_synapses: dict[int | None, list[Ints]] = {}
        self.row_sets: list[RowSet] = []
        self.generators: list[SynapseGenerator] = []
        self.synapses = 0
        self.min_delay, self.max_delay = 1 << 40, 0

    def add_explicit_edges(
        self, index: int, projection: Projection, pieces: Iterable[edges.Records]
    ) -> None:
        """Collect the given edges onto this rank's neurons, with weights in quanta."""
        population = self.layout.population_index(projection.post.population)
        fields = edges.edge_dtype(projection).names
        assert fields is not None
        positive, negative = receptor_planes(self.layout, projection)
        for piece in pieces:
            local = self.layout.to_local(population, projection.post.neurons_at(piece["target"]))
            is_local = np.flatnonzero(local >= 0)
            if not is_local.size:
                continue
            records, local = piece[is_local], local[is_local]
            weights, delays = wiring_draws.draw_edges(
                np.ascontiguousarray(records["number"]) if "number" in fields else _NO_NUMBERS,
                projection_record(self.layout, self.quanta, index, self.keys[index]),
                "weight" not in fields,
                "delay" not in fields,
            )
            if "weight" in fields:
                weights = records["weight"]
            part = np.empty((is_local.size, 5), np.int64)
            part[:, 0] = self.layout.network.gids(projection.pre, records["source"])
            part[:, 1] = local
            part[:, 2] = integer_weights(self.layout, self.quanta, index, weights)
            part[:, 3] = records["delay"] if "delay" in fields else delays
            part[:, 4] = np.where(part[:, 2] >= 0, positive, negative)
            np.add.at(self.load, (part[:, 4], local), np.abs(part[:, 2]))
            self.synapses += is_local.size
            self.min_delay = min(self.min_delay, int(part[:, 3].min()))
            self.max_delay = max(self.max_delay, int(part[:, 3].max()))
            self.overflow_synapses.setdefault(scaled_by(projection, index), []).append(part)

    def add(
        self, plan: RowSetPlan, prepared: Ints, sources: tuple[int, int] | None = None
    ) -> RowSet:
        """Build and return one row set from its plan's projections and prepared edges.

        Parameters
        ----------
        plan : RowSetPlan
            The row set's layout.
        prepared : ndarray of int64, shape (n_edges, 5)
            Prepared edges.
        sources : (int, int), optional
            First gid and end of the sources whose rows are built; None: all. A row does not depend
            on the others.
        """
        first, last = sources or (0, self.layout.network.n_neurons)
        estimate = self._estimate(plan) if sources is None else 0
        if plan.projections and self._projection(plan).has_listed_view:
            return self._add_listed(plan, (first, last), estimate)
        prepared = prepared[np.argsort(prepared[:, 0], kind="stable")]
        growing = RowSetBuilder(plan, self.layout, estimate + len(prepared))
        for population in self.layout.network.populations:
            members = [
                index
                for index in plan.projections
                if self.layout.network.projections[index].pre.population == population.name
            ]
            gid = self.layout.network.first_gid[population.name]
            low, high = np.searchsorted(prepared[:, 0], [gid, gid + population.size])
            sources_range = max(first - gid, 0), min(last - gid, population.size)
            if (members or low < high) and sources_range[0] < sources_range[1]:
                part = _PopulationRows(self, plan, members)
                part.build(growing, gid, sources_range, prepared[low:high])
                if plan.procedural:
                    self.generators.append(part.generator(gid, population.size))
        return self._keep(growing, growing.finish())

    def _projection(self, plan: RowSetPlan) -> Projection:
        return self.layout.network.projections[plan.projections[0]]

    def _add_listed(self, plan: RowSetPlan, sources: tuple[int, int], estimate: int) -> RowSet:
        """Add a row set of listed views, which is built in indices of the views.

        A kernel adds to the first neuron of a chunk: sources are numbered in their view, targets
        among this rank's targets. Both numbers ascend with gids and local indices.
        """
        layout, projection = self.layout, self._projection(plan)
        source_gids = layout.network.gids(projection.pre)
        targets = layout.locals_of(projection.post)
        builder = RowBuilder(layout, self.quanta, self.keys, np.zeros_like(self.load))
        growing = RowSetBuilder(plan, layout, estimate)
        first, last = np.searchsorted(source_gids, sources).tolist()
        if first < last:
            part = _PopulationRows(builder, plan, list(plan.projections))
            part.build(growing, 0, (first, last), NO_EDGES)
        self.load[:, targets] += builder.load[:, : targets.size]
        for spilled in growing.spilled:
            spilled[:, 0], spilled[:, 1] = source_gids[spilled[:, 0]], targets[spilled[:, 1]]
        return self._keep(growing, growing.finish().renumbered(source_gids, targets))

    def _keep(self, growing: RowSetBuilder, row_set: RowSet) -> RowSet:
        """Keep a finished row set, with its counts and what did not fit."""
        plan, numbers = row_set.plan, growing.numbers
        if growing.spilled:
            self.overflow_synapses.setdefault(plan.scaled_by, []).extend(growing.spilled)
        self.synapses += int(numbers["synapses"])
        if numbers["max_delay_drawn"]:
            self.min_delay = min(self.min_delay, int(numbers["min_delay_drawn"]))
            self.max_delay = max(self.max_delay, int(numbers["max_delay_drawn"]))
        if row_set.words.size and not plan.procedural:
            self.row_sets.append(row_set)
        return row_set

    def _estimate(self, plan: RowSetPlan) -> int:
        if plan.procedural:
            return 0
        share = self.layout.n_neurons / self.layout.network.n_neurons
        expected = 0.0
        for index in plan.projections:
            projection = self.layout.network.projections[index]
            expected += projection.rule.expected_synapses(
                projection.pre.size, projection.post.size, projection.is_recurrent
            )
        return int(expected * share * 1.01 + 8 * (expected * share) ** 0.5) + 1024


class _PopulationRows:
    """The projections of a row set whose sources are in one population, as arrays."""

    def __init__(self, builder: RowBuilder, plan: RowSetPlan, members: list[int]) -> None:
        self.builder, self.plan, self.layout = builder, plan, builder.layout
        self.table = np.zeros(len(members), tables.PROJECTION)
        self.cells: list[tuple[int, int, int, int, int]] = []
        self.capacity: list[Ints] = []
        self.owned_before: list[Ints] = []
        self.local_of: list[Ints] = []
        self.weights: list[npt.NDArray[np.float64]] = []
        self.delays: list[npt.NDArray[np.int32]] = []
        self.n_tree = self.n_weights = self.n_delays = 0
        self.projections = [self.layout.network.projections[index] for index in members]
        for p, (index, projection) in enumerate(zip(members, self.projections, strict=True)):
            key = builder.keys[index]
            self.table[p] = projection_record(self.layout, builder.quanta, index, key)
            self._rule(p, projection)
            self._arrays(p, projection)
            self._blocks(p, projection)

    def _rule(self, p: int, projection: Projection) -> None:
        rule, row = projection.rule, self.table[p]
        row["rule"] = next(_RULES[base] for base in type(rule).__mro__ if base in _RULES)
        if not projection.has_listed_view:
            row["pre_start"] = projection.pre.start
        row["n_pre"] = projection.pre.size
        row["n_post"] = projection.post.size
        row["autapses"] = not (projection.is_recurrent and rule.skips_autapses)
        row["multapses"] = getattr(rule, "multapses", True)
        if isinstance(rule, FixedIndegree):
            row["number"] = rule.indegree
        if isinstance(rule, FixedOutdegree):
            row["number"] = rule.outdegree
        if isinstance(rule, PairwiseBernoulli):
            self.table[p]["probability"] = rule.p

    def _arrays(self, p: int, projection: Projection) -> None:
        if isinstance(projection.weight, np.ndarray):
            self.table[p]["weight_start"] = self.n_weights
            self.weights.append(projection.weight.reshape(-1))
            self.n_weights += projection.weight.size
        if isinstance(projection.delay, np.ndarray):
            self.table[p]["delay_start"] = self.n_delays
            self.delays.append(delay_steps(projection.delay, self.layout.network.dt).reshape(-1))
            self.n_delays += projection.delay.size

    def _blocks(self, p: int, projection: Projection) -> None:
        """Cut the post view into its blocks: cells for owned ones, prefix sums for all."""
        table, row = self.layout.blocks, self.table[p]
        population = self.layout.population_index(projection.post.population)
        low = projection.post.start // table.block_size
        high = (projection.post.stop - 1) // table.block_size + 1
        numbers = np.arange(low, high)
        starts = projection.post.count_below(numbers * table.block_size)
        sizes = projection.post.count_below((numbers + 1) * table.block_size) - starts
        local = self.layout.blocks_of(population)[numbers]
        owned = local >= 0
        # local number of a neuron = local_of + its number within the view
        offset = local - numbers * table.block_size + projection.post.start
        if projection.has_listed_view:  # among the rank's targets (`RowBuilder._add_listed`)
            offset = -np.cumsum(np.where(owned, 0, sizes))
        before = np.concatenate([[0], np.cumsum(owned)]).astype(np.int64)
        totals = np.zeros(int(before[-1]), np.int64)
        if isinstance(projection.rule, FixedTotalNumber):
            pairs = sizes * projection.pre.size - (0 if row["autapses"] else sizes)
            prefix = np.concatenate([[0], np.cumsum(pairs)]).astype(np.int64)
            count_trees.split_over_blocks(
                projection.rule.n, prefix, before, False, row["key"], totals
            )
        row["cell_first"] = len(self.cells)
        for position, k in enumerate(np.flatnonzero(owned)):
            local_first = int(offset[k] + starts[k])
            cell = (int(numbers[k]), int(starts[k]), int(sizes[k]), local_first)
            self.cells.append((*cell, int(totals[position])))
        row["cell_last"] = len(self.cells)
        row["tree_first"], row["tree_size"] = self.n_tree, sizes.size + 1
        self.capacity.append(np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64))
        self.owned_before.append(before)
        self.local_of.append(np.append(offset, -1).astype(np.int64))
        self.n_tree += sizes.size + 1

    def _edge_slices(self, begin: int, end: int) -> Iterator[tuple[int, int]]:
        """Cut the sources so that the sorted edges of fixed indegrees stay within their budget."""
        edges = sum(
            int(row["number"]) * sum(cell[2] for cell in self._cells_of(row))
            for row in self.table
            if row["rule"] == tables.INDEGREE
        )
        pieces = max(1, -(-edges * 8 // EDGE_BYTES))
        step = -(-(end - begin) // pieces)
        step += -step % _SLICE
        for first in range(begin, end, step):
            yield first, min(first + step, end)

    def _cells_of(self, row: np.void) -> list[tuple[int, int, int, int, int]]:
        return self.cells[row["cell_first"] : row["cell_last"]]

    def build(
        self, growing: RowSetBuilder, gid: int, sources: tuple[int, int], prepared: Ints
    ) -> None:
        """Write the rows of a range of sources of the population, whose first gid is `gid`."""
        n, projections, local_of = len(self.projections), self._tables(), _joined(self.local_of)
        fixed = self._longest_fixed()
        self.longest = 1
        for from_source, to_source in self._edge_slices(*sources):
            starts = np.zeros((n, to_source - from_source + 1), np.int64)
            edges = self._sorted_edges(projections.cells, from_source, to_source, starts)
            for first in range(from_source, to_source, _SLICE):
                last = min(first + _SLICE, to_source)
                counts = np.zeros((last - first, len(self.cells)), np.int32)
                wiring_draws.total_number_counts(projections, first, last, counts)
                starts_of_chunk = starts[:, first - from_source : last - from_source + 1]
                bounds = np.searchsorted(prepared[:, 0], gid + np.arange(first, last + 1)).astype(
                    np.int64
                )
                longest = fixed + int(counts.sum(axis=1).max(initial=0))
                longest += int(np.diff(starts_of_chunk).sum(axis=0).max(initial=0))
                longest += int(np.diff(bounds).max(initial=0))
                if longest == 0:
                    continue
                self.longest = max(self.longest, longest)
                scratch = tables.RowScratch.of_size(longest, self.layout.blocks.block_size)
                step = max(1, _ROOM // longest)
                for low in range(first, last, step):
                    high = min(low + step, last)
                    part = slice(low - first, high - first)
                    ends = slice(low - first, high - first + 1)
                    if self.plan.procedural:  # counted, but not kept
                        growing.numbers["used_words"] = growing.numbers["used_rows"] = 0
                    growing.reserve(longest * (high - low))
                    spilled = np.empty((longest * (high - low), 5), np.int64)
                    growing.numbers["n_overflow"] = 0
                    wiring.build_rows(
                        projections,
                        tables.SourceChunk(
                            gid,
                            low,
                            high,
                            counts[part],
                            np.ascontiguousarray(starts_of_chunk[:, ends]),
                            edges,
                            local_of,
                            bounds[ends],
                            prepared[:, 1:],
                        ),
                        scratch,
                        growing.storage(spilled, self.builder.load),
                    )
                    n_spilled = int(growing.numbers["n_overflow"])
                    if n_spilled:
                        growing.spilled.append(spilled[:n_spilled].copy())

    def generator(self, gid: int, size: int) -> SynapseGenerator:
        """Return what draws the population's synapses again, after they were built once."""
        block_size = self.layout.blocks.block_size
        return SynapseGenerator(self.plan, gid, size, self._tables(), self.longest, block_size)

    def _tables(self) -> tables.ProjectionTables:
        return tables.ProjectionTables(
            self.table,
            np.array(self.cells, tables.CELL),
            _joined(self.capacity),
            _joined(self.owned_before),
            np.concatenate([*self.weights, np.empty(0)]),
            np.concatenate([*self.delays, np.empty(0, np.int32)]),
        )

    def _longest_fixed(self) -> int:
        """Return the most synapses of one source from rules whose counts are not made yet."""
        longest = 0
        for row in self.table:
            rule = row["rule"]
            if rule in (tables.ALL_TO_ALL, tables.BERNOULLI):
                longest += sum(cell[2] for cell in self._cells_of(row))
            elif rule == tables.OUTDEGREE:
                longest += int(row["number"])
            elif rule == tables.ONE_TO_ONE:
                longest += 1
        return longest

    def _sorted_edges(
        self, cells: npt.NDArray[np.void], first: int, last: int, starts: Ints
    ) -> npt.NDArray[np.uint64]:
        """Return the edges of fixed-indegree projections, and fill where each source's start."""
        empty = np.empty(0, np.uint64)
        pieces, total = [], 0
        for p, row in enumerate(self.table):
            if row["rule"] != tables.INDEGREE:
                continue
            arguments = (row, cells, first, last)
            wiring_draws.indegree_edges(*arguments, starts[p], empty)
            piece = np.empty(int(starts[p, -1]), np.uint64)
            wiring_draws.indegree_edges(*arguments, starts[p], piece)
            starts[p] += total
            total += piece.size
            pieces.append(piece)
        return np.concatenate(pieces) if pieces else empty


def _joined(arrays: list[Ints]) -> Ints:
    return np.concatenate([*arrays, np.empty(0, np.int64)])
