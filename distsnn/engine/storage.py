"""Plans the storage of a rank's synapses: row sets of projections, each with a word layout.

The choice follows from the description and from how many neurons the rank has. It never shows in
the results: a weight is the same integer in every storage, and sums of integers have no order.
"""

import math
from dataclasses import dataclass, replace

from distsnn.engine.layout import LocalLayout
from distsnn.errors import DescriptionError, unknown_name_error
from distsnn.network import (
    AllToAll,
    ConnectionFile,
    ConnectionList,
    FixedOutdegree,
    FixedTotalNumber,
    OneToOne,
    PairwiseBernoulli,
    Projection,
    delay_bounds,
    delay_steps,
)
from distsnn.network.distributions import Distribution
from distsnn.network.quanta import WeightQuanta, to_integers
from distsnn.network.values import mean_of, value_bounds

# Pull costs some 15 ns a run, push 0.7 ns more a synapse than pull (measured).
PULL_FROM_RUN = 25.0
# A ring that leaves the last-level cache makes every push a miss.
LARGEST_RING_BYTES = 32 * 2**20
MOST_CONSTANT_SETS = 8
# Delays further out than this (probability) are stored explicitly.
DELAY_TAIL = 2.0**-32

DELIVERIES = ("auto", "pull", "push")
STORAGES = ("auto", "packed", "explicit", "procedural")
# Rules whose synapses can be drawn again from their source alone.
_PROCEDURAL = (OneToOne, AllToAll, FixedOutdegree, FixedTotalNumber, PairwiseBernoulli)
# Bytes of a stored synapse, for the choice between storing and drawing again.
_STORED_BYTES = 4.5
# The least that one takes, and more than a rank could draw in a day.
_LEAST_BYTES, _MOST_SYNAPSES = 2.0, 2.0**42


@dataclass(frozen=True)
class RowSetPlan:
    """The storage of some projections onto one receptor plane.

    Parameters
    ----------
    projections : tuple of int
        Indices of the projections whose synapses are drawn into it.
    plane : int
        Receptor's position in its model (a plane of the input ring).
    pull : bool
        Whether rows are pulled; else pushed.
    word_bits : {16, 32, 64}
        Width of a word.
    target_bits, delay_bits, field_bits : int
        Widths of a word's fields.
    stored_shift : int
        Weights are kept as multiples of 2^stored_shift quanta.
    weight : int or None
        The weight of all synapses, quanta; None where words hold it.
    delay : int or None
        The delay of all synapses in steps; None where they differ.
    max_delay : int
        Largest possible delay, steps.
    procedural : bool
        Nothing is stored: a source's synapses are drawn again when its spike arrives.
    scaled_by : int or None
        The projection whose synapse model scales the weights with every spike; all synapses are
        that projection's.
    """

    projections: tuple[int, ...]
    plane: int
    pull: bool
    word_bits: int
    target_bits: int
    delay_bits: int
    field_bits: int
    stored_shift: int
    weight: int | None
    delay: int | None
    max_delay: int
    procedural: bool = False
    scaled_by: int | None = None


def scaled_by(projection: Projection, index: int) -> int | None:
    """Return what a plan of a projection's synapses is scaled by: the projection or nothing."""
    return None if projection.scaling_model is None else index


def receptor_planes(layout: LocalLayout, projection: Projection) -> tuple[int, int]:
    """Return the receptor planes of a projection's weights >= 0 and < 0."""
    model = layout.network.population(projection.post.population).model
    if projection.receptor is not None:
        index = model.receptors.index(projection.receptor)
        return index, index
    if model.signed_receptors is None:
        return 0, 0
    positive, negative = model.signed_receptors
    if projection.plasticity_rule is not None:  # all weights have one sign, also those that are 0
        positive = negative = positive if projection.plasticity_rule.sign > 0 else negative
    return model.receptors.index(positive), model.receptors.index(negative)


def check_choices(delivery: str, storage: str) -> None:
    """Raise DescriptionError if the name of a delivery strategy or storage format is unknown."""
    if delivery not in DELIVERIES:
        raise unknown_name_error("delivery", str(delivery), DELIVERIES, where="delivery")
    if storage not in STORAGES:
        raise unknown_name_error("storage", str(storage), STORAGES, where="storage")


def plan_row_sets(
    layout: LocalLayout,
    quanta: WeightQuanta,
    *,
    delivery: str = "auto",
    storage: str = "auto",
    memory_bytes: float = math.inf,
) -> list[RowSetPlan]:
    """Return the row sets of a rank, without those for edges that are given or do not fit.

    Parameters
    ----------
    layout : LocalLayout
        The rank's neurons.
    quanta : WeightQuanta
        Fixed-point scales.
    delivery : {"auto", "pull", "push"}
        Delivery strategy; "auto" decides by the mean length of a run.
    storage : {"auto", "packed", "explicit", "procedural"}
        "packed" keeps constant weights in words too, "explicit" takes 8 bytes a synapse,
        "procedural" stores nothing where rule and views allow it.
    memory_bytes : float
        Memory for synapses; where they need more, "auto" does not store what it can draw again.

    Raises
    ------
    DescriptionError
        If a name is unknown, or words cannot hold what a forced choice asks for.
    """
    check_choices(delivery, storage)
    if storage == "auto" and _stored_bytes(layout) > memory_bytes:
        storage = "procedural"
    _check_size(layout, storage, memory_bytes)
    chooser = _StoragePlanner(layout, quanta, delivery, storage)
    return chooser.plans()


def _check_size(layout: LocalLayout, storage: str, memory_bytes: float) -> None:
    """Raise DescriptionError if the expected synapses cannot be held, before any is drawn."""
    network = layout.network
    share = layout.n_neurons / network.n_neurons
    needed, drawn, largest = 0.0, 0.0, ("", 0.0)
    for projection in network.projections:
        expected = share * projection.rule.expected_synapses(
            projection.pre.size, projection.post.size, projection.is_recurrent
        )
        drawn += expected
        if storage != "procedural" or not _can_be_drawn_again(projection):
            needed += expected * bytes_per_synapse(projection, _LEAST_BYTES)
        if expected > largest[1]:
            largest = (projection.name or "", expected)
    if needed > memory_bytes or drawn > _MOST_SYNAPSES:
        free = f"{memory_bytes / 2**30:.3g} GiB of memory" if needed > memory_bytes else ""
        raise DescriptionError(
            "more synapses than a rank can hold",
            where=f"projection {largest[0]!r}",
            value=f"{largest[1]:.3g} on this rank, {needed / 2**30:.3g} GiB at least in all",
            allowed=free or f"{_MOST_SYNAPSES:.3g} synapses on a rank",
        )


def _can_be_drawn_again(projection: Projection) -> bool:
    # kernels of delivery know no lists of neurons
    return (
        isinstance(projection.rule, _PROCEDURAL)
        and projection.synapse is None
        and not projection.has_listed_view
    )


def _stored_bytes(layout: LocalLayout) -> float:
    share = layout.n_neurons / layout.network.n_neurons
    return share * sum(
        projection.rule.expected_synapses(
            projection.pre.size, projection.post.size, projection.is_recurrent
        )
        * bytes_per_synapse(projection, _STORED_BYTES)
        for projection in layout.network.projections
    )


def distinct_delays(projection: Projection, dt: float) -> float:
    """Return about how many delays a projection's synapses have."""
    if not isinstance(projection.delay, Distribution):
        return 1.0 if isinstance(projection.delay, float) else 16.0
    low, high = value_bounds(projection.delay, 0.02)
    return max(1.0, (high - max(low, 0.0)) / dt)


def bytes_per_synapse(projection: Projection, static: float) -> float:
    """Return the bytes of a synapse: `static`, or what a plastic one takes at least."""
    model = projection.plasticity_rule
    if model is None:
        return static
    real = 8 if projection.weight_type == "float64" else 4
    n_arrays = sum(not isinstance(getattr(model, name), float) for name in model.per_synapse)
    plastic_bytes = 4 + real * (1 + len(model.synapse_states) + n_arrays)
    # while rows are made there are 8-byte words beside those that they are cut into
    return max(plastic_bytes, 8 + 4 + real)


def plan_explicit_row_set(
    layout: LocalLayout, plane: int, longest: int, delivery: str, scaled_by: int | None
) -> RowSetPlan:
    """Return the row set of a plane's given edges and of those that fit nowhere else."""
    plan = _plan(layout, (), plane, delivery != "push", 64, longest, None, 0, None, longest)
    return replace(plan, scaled_by=scaled_by)


def _plan(
    layout: LocalLayout,
    members: tuple[int, ...],
    plane: int,
    pull: bool,
    word_bits: int,
    word_delay: int,
    delay: int | None,
    stored_shift: int,
    weight: int | None,
    longest: int,
    most_field_bits: int = 62,
) -> RowSetPlan:
    target_bits = layout.target_bits
    delay_bits = 0 if pull or delay is not None else max(1, word_delay.bit_length())
    field_bits = min(most_field_bits, word_bits - target_bits - delay_bits)
    if weight is not None:
        field_bits = 0
    if weight is None and word_bits == 64 and field_bits < 32:
        raise DescriptionError(
            "a pushed word cannot hold target, delay and weight",
            where="delivery",
            value=f"{layout.n_local} local neurons, delays up to {longest} steps",
            allowed="pull or auto",
        )
    return RowSetPlan(
        members,
        plane,
        pull,
        word_bits,
        target_bits,
        delay_bits,
        field_bits,
        stored_shift,
        weight,
        delay,
        longest,
    )


class _StoragePlanner:
    def __init__(
        self, layout: LocalLayout, quanta: WeightQuanta, delivery: str, storage: str
    ) -> None:
        self.layout, self.quanta = layout, quanta
        self.delivery, self.storage = delivery, storage
        self.projections = layout.network.projections
        self.dt = layout.network.dt

    def plans(self) -> list[RowSetPlan]:
        # a row set is built in the indices of the listed views that its projections share
        by_views: dict[object, list[int]] = {}
        for index, projection in enumerate(self.projections):
            if (
                not isinstance(projection.rule, ConnectionList | ConnectionFile)
                and projection.plasticity_rule is None
            ):
                listed = projection.has_listed_view
                views = (projection.pre, projection.post) if listed else None
                by_views.setdefault(views, []).append(index)
        return [plan for drawn in by_views.values() for plan in self._plans(drawn)]

    def _plans(self, drawn: list[int]) -> list[RowSetPlan]:
        constant: dict[tuple[int, int], list[int]] = {}
        words: dict[int, list[int]] = {}
        generated: dict[int, list[int]] = {}
        scaled: list[RowSetPlan] = []
        for index in drawn:
            projection = self.projections[index]
            if projection.synapse is not None:
                scaled += self._scaled(index)
            elif self.storage == "procedural" and _can_be_drawn_again(projection):
                generated.setdefault(self._plane(index), []).append(index)
            elif self._is_constant(index):
                constant.setdefault((self._plane(index), self._constant(index)), []).append(index)
            else:
                words.setdefault(self._plane(index), []).append(index)
        # most synapses first: projections beyond the number of constant sets get words
        by_size = sorted(constant, key=lambda key: -sum(map(self._synapses, constant[key])))
        for key in by_size[MOST_CONSTANT_SETS:]:
            words.setdefault(key[0], []).extend(constant.pop(key))
        plans = [
            plan
            for (plane, weight), members in constant.items()
            for plan in self._constant_sets(plane, weight, members)
        ]
        for plane, members in words.items():
            plans += self._word_sets(plane, sorted(members))
        plans += [self._generated(plane, members) for plane, members in generated.items()]
        return plans + scaled

    def _is_constant(self, index: int) -> bool:
        weight = self.projections[index].weight
        return self.storage in ("auto", "procedural") and isinstance(weight, float)

    def _scaled(self, index: int) -> list[RowSetPlan]:
        """Return the row set of a projection with a synapse model, which it has for itself."""
        plane = self._plane(index)
        if self._is_constant(index):
            plans = self._constant_sets(plane, self._constant(index), [index])
        else:
            plans = self._word_sets(plane, [index])
        return [replace(plan, scaled_by=index) for plan in plans]

    def _generated(self, plane: int, members: list[int]) -> RowSetPlan:
        _, _, longest = self._delays(members)
        bits = self.layout.target_bits
        return RowSetPlan(
            tuple(members), plane, False, 64, bits, 0, 62, 0, None, None, longest, procedural=True
        )

    def _plane(self, index: int) -> int:
        projection = self.projections[index]
        positive, negative = receptor_planes(self.layout, projection)
        assert projection.weight is not None
        return positive if mean_of(projection.weight) >= 0.0 else negative

    def _constant(self, index: int) -> int:
        projection = self.projections[index]
        assert isinstance(projection.weight, float)
        receptors = self.layout.network.population(projection.post.population).model.receptors
        key = (projection.post.population, receptors[self._plane(index)])
        shift = self.quanta.shift[index]
        return int(to_integers(projection.weight, self.quanta.exponent[key], shift))

    def _synapses(self, index: int) -> float:
        projection = self.projections[index]
        return projection.rule.expected_synapses(
            projection.pre.size, projection.post.size, projection.is_recurrent
        )

    def _delays(self, members: list[int]) -> tuple[int | None, int, int]:
        """Return the common delay or None, the longest in words, and the longest possible."""
        delays = [self.projections[index].delay for index in members]
        first = delays[0]
        longest = max(delay_bounds(delay, self.dt)[1] for delay in delays if delay is not None)
        if isinstance(first, float) and all(
            isinstance(delay, float) and delay == first for delay in delays
        ):
            return int(delay_steps(first, self.dt)), longest, longest
        in_words = 1
        for delay in delays:
            assert delay is not None
            high = (
                value_bounds(delay, DELAY_TAIL)[1] if isinstance(delay, Distribution) else math.inf
            )
            steps = delay_bounds(delay, self.dt)[1]
            in_words = max(in_words, min(steps, max(1, math.floor(min(high / self.dt, 2e9) + 0.5))))
        return None, in_words, longest

    def _pull(self, members: list[int], longest: int) -> bool:
        if self.delivery != "auto":
            return self.delivery == "pull"
        ring = 4 << (longest.bit_length() + self.layout.target_bits)
        if ring > LARGEST_RING_BYTES:
            return True
        share = self.layout.n_neurons / self.layout.network.n_neurons
        synapses = sum(map(self._synapses, members)) * share
        rows = {(self.projections[i].pre.population, self.projections[i].pre) for i in members}
        sources = sum(view.size for _, view in rows)
        spread = max(distinct_delays(self.projections[index], self.dt) for index in members)
        return synapses / (sources * spread) >= PULL_FROM_RUN

    def _constant_sets(self, plane: int, weight: int, members: list[int]) -> list[RowSetPlan]:
        by_delay: dict[object, list[int]] = {}
        for index in members:
            delay = self.projections[index].delay
            by_delay.setdefault(delay if isinstance(delay, float) else None, []).append(index)
        groups = list(by_delay.values()) if len(by_delay) <= 2 else [members]
        plans = []
        for group in groups:
            delay, in_words, longest = self._delays(group)
            pull = self._pull(group, longest)
            needed = self.layout.target_bits
            if not pull and delay is None:
                needed += max(1, in_words.bit_length())
            bits = 16 if needed <= 16 else 32 if needed <= 32 else 64
            plans.append(
                _plan(
                    self.layout,
                    tuple(group),
                    plane,
                    pull,
                    bits,
                    in_words,
                    delay,
                    0,
                    weight,
                    longest,
                )
            )
        return plans

    def _word_sets(self, plane: int, members: list[int]) -> list[RowSetPlan]:
        together = self._packed(plane, members)
        if together is not None:
            return [together]
        by_shift: dict[int, list[int]] = {}
        for index in members:
            by_shift.setdefault(self.quanta.shift[index], []).append(index)
        plans: list[RowSetPlan] = []
        remaining: list[int] = []
        for _, group in sorted(by_shift.items()):
            # a spike takes less time in fewer sets, which may hold weights of several shifts
            wider = self._packed(plane, sorted([*plans[-1].projections, *group])) if plans else None
            if wider is not None:
                plans[-1] = wider
                continue
            while group:
                packed = self._packed(plane, group)
                if packed is not None:
                    plans.append(packed)
                    break
                remaining.append(max(group, key=self.quanta.field_bits.__getitem__))
                group.remove(remaining[-1])
        if remaining:
            delay, in_words, longest = self._delays(remaining)
            pull = self._pull(remaining, longest)
            plans.append(
                _plan(
                    self.layout,
                    tuple(sorted(remaining)),
                    plane,
                    pull,
                    64,
                    in_words,
                    delay,
                    0,
                    None,
                    longest,
                )
            )
        return plans

    def _packed(self, plane: int, members: list[int]) -> RowSetPlan | None:
        """Return the 32-bit row set of some projections, None where their weights do not fit."""
        if self.storage == "explicit":
            return None
        shift = min(self.quanta.shift[index] for index in members)
        needed = max(
            self.quanta.field_bits[index] + self.quanta.shift[index] - shift for index in members
        )
        delay, in_words, longest = self._delays(members)
        pull = self._pull(members, longest)
        delay_bits = 0 if pull or delay is not None else max(1, in_words.bit_length())
        # delivery makes a field's weight within 32 bits: field and shift must not exceed them
        max_bits = min(32 - self.layout.target_bits - delay_bits, 32 - shift)
        if needed > max_bits:
            return None
        return _plan(
            self.layout,
            tuple(members),
            plane,
            pull,
            32,
            in_words,
            delay,
            shift,
            None,
            longest,
            max_bits,
        )
