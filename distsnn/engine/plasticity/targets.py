"""Targets of a plastic projection: their spikes or states, by which its rows are updated."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from distsnn.codegen.plasticity import follows_targets
from distsnn.engine.kernel_calls import KernelCall, address
from distsnn.engine.local_neurons import LocalNeurons
from distsnn.engine.plasticity.calls import RuleCalls
from distsnn.engine.plasticity.post_history import TargetSpikeHistory
from distsnn.engine.plasticity.rule_constants import RuleConstants, trace_fields
from distsnn.engine.state_fields import Ints, NeuronHolder, StateField, StateHolder, Values
from distsnn.kernels import plastic


class PlasticTargets(StateHolder):
    """The targets of a plastic projection: their histories, and the calls that fill them.

    Parameters
    ----------
    calls : RuleCalls
        The projection's calls, whose table describes the histories.
    targets : LocalNeurons
        The targets' population.
    history : TargetSpikeHistory
        Their histories.

    Attributes
    ----------
    neurons : ndarray of int64, shape (n_slots,)
        Neurons of the population's slots, -1 for padding.
    deliver : KernelCall or None
        Called with a range of the list of spikes, where targets' spikes act.
    after_update : KernelCall or None
        Called after every step of the targets, where their states act.
    """

    neurons: Ints
    fields: tuple[StateField, ...] = ()
    deliver: KernelCall | None = None
    after_update: KernelCall | None = None

    def __init__(
        self,
        calls: RuleCalls,
        targets: LocalNeurons,
        history: TargetSpikeHistory,
    ) -> None:
        self.neurons, self.history = targets.neurons, history
        self._table, self._first = calls.table, targets.first
        self._point()

    def _point(self) -> None:
        records = self.history.records
        # words hold local numbers of targets
        self._table[plastic.HISTORY] = address(records) - self._first * records.strides[0]
        self._table[plastic.DEPTH] = self.history.depth

    def double(self) -> None:
        """Make room for twice as many entries of each target."""
        self.history.double_depth()
        self._point()

    @property
    def is_full(self) -> bool:
        """Whether a history may lack room for another step of the targets."""
        return False

    @property
    def is_long(self) -> bool:
        """Whether rows should be swept before the histories become longer."""
        return False

    def follow(self, neurons: LocalNeurons) -> None:
        """Follow the targets' parameters, which were changed."""

    def now(self, step: int) -> dict[str, Values]:
        """Return the traces of targets at a step up to which all their spikes are known."""
        return {}

    def begin_again(self, before: RuleConstants, step: int) -> None:
        """Fade traces of targets with the constants of before to a step with no events ahead."""


class TargetSpikes(PlasticTargets, NeuronHolder):
    """Targets whose spikes act, with their traces.

    Parameters
    ----------
    calls : RuleCalls
        The projection's calls.
    targets : LocalNeurons
        The targets' population.
    reach : int
        The longest delay of the whole network, steps.
    make_room : callable
        Makes room in the histories.
    """

    def __init__(
        self,
        calls: RuleCalls,
        targets: LocalNeurons,
        reach: int,
        make_room: Callable[[], None],
    ) -> None:
        layout, projection = calls.layout, calls.projection
        post, table, precision = projection.post, calls.table, calls.precision
        self._reach, self._calls, traces = reach, calls, len(calls.rule.TARGET)
        history = TargetSpikeHistory(targets.neurons.size, traces, precision)
        super().__init__(calls, targets, history)
        self.fields = trace_fields(projection, "target")
        archive = calls.call(calls.entries.archive)
        if follows_targets(calls.rule):
            self.deliver = archive
            archive.grow = make_room
        table[plastic.POST_GID] = layout.network.first_gid[post.population] + post.start
        # neurons between listed targets have histories, too, which no synapse reads
        table[plastic.N_POST], table[plastic.POST_START] = post.stop - post.start, post.start
        table[plastic.BLOCK_BITS] = layout.blocks.block_size.bit_length() - 1
        self._blocks = np.ascontiguousarray(layout.blocks_of(targets.index))
        table[plastic.BLOCKS] = address(self._blocks)

    def arrays(self) -> Iterable[Values]:
        """Return traces and steps of the newest spikes, an array for each field."""
        newest = self.history.records[:, 0]
        return *newest["trace"].T, newest["step"]

    def take(self, step: int) -> list[Values]:
        """Return traces of targets before the spikes with pending events."""
        records = self.history.records[self.neurons >= 0]
        newest = np.argmax(records["step"] <= step - self._reach, axis=1)
        newest_entries = records[np.arange(len(records)), newest]
        return [*newest_entries["trace"].T.copy(), newest_entries["step"]]

    def now(self, step: int) -> dict[str, Values]:
        """Return the traces of targets at a step up to which all their spikes are known."""
        return self._faded(self._calls.constants, step)

    def _faded(self, constants: RuleConstants, step: int) -> dict[str, Values]:
        """Return the traces to which those after the newest spikes up to a step have faded."""
        records, rule = self.history.records, self._calls.rule
        newest = np.argmax(records["step"] <= step, axis=1)
        newest_entries = records[np.arange(len(records)), newest]
        since = step - newest_entries["step"].astype(np.float64)
        return {
            name: constants.faded(rule.DECAYS, name, newest_entries["trace"][:, column], since)
            for column, name in enumerate(rule.TARGET)
        }

    def begin_again(self, before: RuleConstants, step: int) -> None:
        """Set the histories to what traces had faded to by a step."""
        records, faded = self.history.records, self._faded(before, step)
        records["step"], records["trace"] = plastic.NEVER, 0
        records["step"][:, 0] = step
        for column, values in enumerate(faded.values()):
            records["trace"][:, 0, column] = values

    def put(self, values: Sequence[Values], step: int) -> None:
        """Set the histories to a spike of each target."""
        self.history.records["step"] = plastic.NEVER
        super().put(values, step)
