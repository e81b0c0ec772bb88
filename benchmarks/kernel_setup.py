"""Small engines in parts, for the benchmarks of kernels: one rank, calls without a simulation."""

from dataclasses import dataclass

import numpy as np

from distsnn import jit
from distsnn.engine import wiring
from distsnn.engine.delivery import RowSetDelivery
from distsnn.engine.kernel_calls import KernelCall, call_table
from distsnn.engine.layout import LocalLayout
from distsnn.engine.local_neurons import InputRing, make_neurons, update_call
from distsnn.engine.rank_engine import RankEngine
from distsnn.engine.stimuli import Stimuli
from distsnn.kernels import emission
from distsnn.kernels.delivery import GROW
from distsnn.network import (
    FixedIndegree,
    FixedOutdegree,
    IafPscExp,
    IafPscExpShared,
    Network,
    Normal,
    PlasticSynapse,
    PoissonInput,
    Population,
    Projection,
    Uniform,
)
from distsnn.network.blocks import make_blocks
from distsnn.network.quanta import choose_quanta
from distsnn.partition.assignment import make_assignment

SEED = 1


@jit.kernel
def repeat_calls(calls, count, start, n):
    """Call all entries in each of n loops; `count` is set to 0 before each."""
    for k in range(start, start + n):
        count[0] = 0
        for i in range(calls.shape[0]):
            row = calls[i]
            jit.call(row.function, row.table, row.scalars, row.first, row.last, k)


@jit.kernel
def deliver_all(delivers, collects, n_steps, per_step, drain):
    """Deliver `per_step` spikes in each loop, collecting what is due first; return the status.

    What is still to be collected at the end is collected in `drain` more loops.
    """
    row = delivers[0]
    function, table, scalars = row.function, row.table, row.scalars
    for k in range(n_steps + drain):
        for i in range(collects.shape[0]):
            row = collects[i]
            jit.call(row.function, row.table, row.scalars, 0, 0, k)
        if k >= n_steps:
            continue
        status = jit.call(function, table, scalars, k * per_step, (k + 1) * per_step, k)
        if status != 0:
            return status
    return 0


def layout_of(network: Network) -> LocalLayout:
    """Return the layout of a network on one rank."""
    table = make_blocks(network)
    return LocalLayout(network, table, make_assignment(table, 1, "round_robin"), 0)


@dataclass
class Loops:
    """Some calls, to be made loop after loop.

    Parameters
    ----------
    calls : list of KernelCall
        Made in each loop.
    count : ndarray of int64, shape (1,)
        Set to 0 in each loop.
    elements : int
        Neurons that they work on.
    """

    calls: list[KernelCall]
    count: np.ndarray
    elements: int

    def __post_init__(self) -> None:
        self._table = call_table(self.calls)
        self._next = 0

    def run(self, n: int) -> None:
        """Make n loops."""
        repeat_calls(self._table, self.count, self._next, n)
        self._next += n


def update_loops(population: Population) -> Loops:
    """Return the update of a population."""
    network = Network([population])
    layout, scales = layout_of(network), choose_quanta(network)
    neurons = make_neurons(layout, 0, SEED, False)
    planes = max(1, len(population.model.receptors))
    ring = InputRing(np.zeros((planes, 1, 1 << layout.target_bits), np.int32))
    count = np.zeros(emission.COUNTS_SIZE, np.int64)
    emitted: dict[int, np.ndarray] = {
        emission.EMITTED: np.zeros(layout.n_local, np.uint32),
        emission.N_EMITTED: count,
        emission.GROUP_GID: layout.group_gid,
        emission.GROUP_SIZE: layout.group_size,
    }
    spiked = np.zeros(layout.n_local, np.uint8)
    call = update_call(layout, neurons, scales, ring, emitted, spiked, SEED)
    return Loops([call], count, population.size)


def poisson_loops(n_neurons: int, mean: float | np.ndarray) -> Loops:
    """Return Poisson input of a mean count per step, common or one per neuron."""
    population = Population("N", n_neurons, IafPscExpShared())
    network = Network([population], stimuli=[PoissonInput(population, mean * 1e4, 1.0)])
    layout = layout_of(network)
    neurons = {"N": make_neurons(layout, 0, SEED, False)}
    ring = InputRing(np.zeros((1, 1, 1 << layout.target_bits), np.int32))
    calls = Stimuli(layout, choose_quanta(network), ring, neurons, SEED).calls
    return Loops(calls, np.zeros(1, np.int64), n_neurons)


class Spikes:
    """Spikes of random sources, delivered by one strategy.

    Parameters
    ----------
    delivery : {"push", "pull"}
        The strategy.
    targets, outdegree, sources : int
        Of the network; the delays (1.5 ± 0.75 ms) spread a source's synapses over some 30 runs.
    steps, per_step : int
        Loops, and spikes in each.
    """

    def __init__(
        self,
        delivery: str,
        *,
        targets: int,
        outdegree: int,
        sources: int,
        steps: int = 200,
        per_step: int = 20,
    ) -> None:
        pre = Population("pre", sources, IafPscExpShared())
        post = Population("post", targets, IafPscExpShared())
        rule = FixedOutdegree(outdegree)
        one = Projection(pre, post, rule, weight=Normal(87.8, 8.78), delay=Normal(1.5, 0.75))
        network = Network([pre, post], [one])
        layout = layout_of(network)
        wired = wiring.build_local_synapses(
            layout, choose_quanta(network), SEED, delivery=delivery, storage="packed"
        )
        # a few weights or delays out of the tails are stored apart
        row_set = max(wired.row_sets, key=lambda one: one.words.size)
        rows = 1 << wired.largest_delay.bit_length() if delivery == "push" else 1
        ring = InputRing(np.zeros((1, rows, 1 << layout.target_bits), np.int32))
        generator = np.random.default_rng(SEED)
        gid = generator.integers(0, sources, steps * per_step).astype(np.uint32)
        step = np.repeat(np.arange(steps, dtype=np.int64), per_step)
        self._delivery = RowSetDelivery(row_set, ring, gid, step)
        collect = self._delivery.collect
        self._delivers = call_table([self._delivery.deliver])
        self._collects = call_table([] if collect is None else [collect])
        self._loops = steps, per_step, wired.largest_delay + 1
        while deliver_all(self._delivers, self._collects, *self._loops) == GROW:
            self._delivery.double_calendar()  # and once more from the start: no time is taken yet

    def deliver(self) -> int:
        """Deliver all spikes; return the number of synaptic events."""
        before = self._delivery.events
        status = deliver_all(self._delivers, self._collects, *self._loops)
        if status != 0:
            raise RuntimeError(f"delivery ended with status {status}")
        return self._delivery.events - before


class Learning:
    """Neurons that fire 8 to 13 spikes/s, each with a plastic synapse onto all but for chance.

    They are driven by currents, and so large that no weight matters.

    Parameters
    ----------
    synapse : PlasticSynapse
        The rule.
    neurons : int
        Targets, and sources.
    """

    def __init__(self, synapse: PlasticSynapse, *, neurons: int = 4500) -> None:
        currents = np.linspace(375.1, 400.0, neurons) * 1e9
        model = IafPscExp(C_m=250e9, I_e=currents, t_ref=50.0)
        population = Population("N", neurons, model, {"V_m": Uniform(-70.0, -55.0)})
        rule = FixedIndegree(neurons)
        one = Projection(population, population, rule, weight=1e-3, delay=1.5, synapse=synapse)
        network = Network([population], [one])
        layout, scales = layout_of(network), choose_quanta(network)
        wired = wiring.build_local_synapses(layout, scales, SEED)
        self._engine = RankEngine(layout, scales, wired, SEED)
        self._engine.connect(None, wired.smallest_delay, wired.largest_delay)
        self.run(2000)

    def run(self, steps: int) -> int:
        """Run some steps; return the number of synaptic events."""
        before = self._engine.events
        self._engine.run(steps, lambda step, gid: None)
        return self._engine.events - before
