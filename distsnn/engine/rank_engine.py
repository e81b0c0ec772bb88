"""One rank's engine: it advances its neurons, records them, and knows the others by an exchange."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.engine import neuron_parameters, spike_sources
from distsnn.engine.changed_weights import changed_weights, schedule_again
from distsnn.engine.currents import CURRENTS
from distsnn.engine.delivery import Delivery, ProceduralDelivery
from distsnn.engine.faults import Fault, neuron_fault
from distsnn.engine.history import History, Spikes
from distsnn.engine.homeostasis import Scaling
from distsnn.engine.layout import Layout
from distsnn.engine.modulation import Modulation
from distsnn.engine.neuron_parameters import Parameters
from distsnn.engine.other_ranks import Alone, Exchange
from distsnn.engine.plastic_calls import SpikeLists
from distsnn.engine.plastic_delivery import PlasticDelivery
from distsnn.engine.plastic_ring import PendingInput, merge_calls, plastic_ring
from distsnn.engine.plastic_sources import SettledTraces
from distsnn.engine.plastic_targets import PlasticTargets
from distsnn.engine.populations import (
    InputRing,
    Neurons,
    make_neurons,
    spikes_per_step,
    update_call,
)
from distsnn.engine.probes import Probe, most_steps
from distsnn.engine.probes import probes as state_probes
from distsnn.engine.rule_constants import RuleConstants
from distsnn.engine.source_states import (
    OwnStates,
    SourceParameters,
    SourceStates,
    occurrences,
    of_rows,
    source_parameters,
)
from distsnn.engine.state_fields import StateHolder
from distsnn.engine.stimuli import Stimuli, largest_input
from distsnn.engine.tables import Call, address, call_table
from distsnn.engine.weight_probes import Choice, WeightProbe
from distsnn.engine.wiring import Wiring
from distsnn.kernels import emission, loop
from distsnn.network.quanta import WeightQuanta

TakeSpikes = Callable[[npt.NDArray[np.int32], npt.NDArray[np.uint32]], None]

Table = npt.NDArray[np.int64]

_LEAST_BUFFER = 1 << 16


class EngineError(RuntimeError):
    """The exchange with the other ranks failed."""


class RankEngine:
    """A rank's neurons and synapses, ready to run.

    Parameters
    ----------
    layout : Layout
        The rank's neurons.
    quanta : WeightQuanta
        Fixed-point scales.
    wiring : Wiring
        The rank's synapses.
    seed : int
        The run's seed.

    Attributes
    ----------
    neurons : dict of str to Neurons
        Populations by name.
    probes : list of Probe
        State recordings.
    weight_probes : list of WeightProbe
        Weight recordings.
    scalings : list of Scaling
        What scales weights in between, once connected.
    most_spikes : int
        Most spikes of this rank in one step.
    scaled : dict of int to OwnStates
        States of this rank's neurons as sources of synapse models, by projection.
    settled : list of OwnStates or SettledTraces
        What synapse models and rules know of this rank's neurons as sources.
    source_parameters : dict of int to SourceParameters
        Parameters of synapse models, by projection; a restart keeps those that were set.
    state_holders : list of StateHolder
        What holds the state, once connected: each variable of a network once, in the order in which
        they can be set.
    state_followers : list of StateHolder
        Rows of synapses, which hold the state of their sources as well.
    reach : int
        The longest delay of the whole network, steps, once connected.
    room : ndarray of int64, shape (n_planes,)
        Quanta by which a step's input to a receptor plane may grow beyond what is described.
    stimuli : Stimuli
        Stimuli, once connected.
    step : int
        Loops done.
    """

    def __init__(self, layout: Layout, quanta: WeightQuanta, wiring: Wiring, seed: int) -> None:
        self.layout, self.quanta, self.wiring, self.seed = layout, quanta, wiring, seed
        self.source_parameters = source_parameters(layout, seed)
        self.changed_weights = changed_weights(layout, quanta)
        self.restart({})

    def restart(self, set_parameters: Mapping[str, Parameters]) -> None:
        """Make everything but the synapses anew, as before the first step.

        `connect` must follow: until then calls and tables are those of before.

        Parameters
        ----------
        set_parameters : mapping of str to (dict of str to ndarray of float64)
            By population, the values of parameters that are not as described.
        """
        layout, seed = self.layout, self.seed
        network = layout.network
        stimulated = {one.target.population for one in network.stimuli if isinstance(one, CURRENTS)}
        self.neurons: dict[str, Neurons] = {
            one.name: make_neurons(
                *(layout, index, seed, one.name in stimulated), set_parameters.get(one.name, {})
            )
            for index, one in enumerate(network.populations)
        }
        self.ring = self._make_ring()
        self._state = np.zeros(loop.STATE_SIZE, np.int64)
        self._spent = np.zeros(loop.TICKS_SIZE, np.int64)
        self.most_spikes = sum(
            spikes_per_step(one.population) * (one.last - one.first)
            for one in self.neurons.values()
        )
        size = max(_LEAST_BUFFER, 2 * self.most_spikes)
        self._spike_step = np.empty(size, np.int32)
        self._spike_gid = np.empty(size, np.uint32)
        self._spiked = np.zeros(layout.n_local, np.uint8)
        self.probes: list[Probe] = state_probes(layout, self.neurons)
        self.weight_probes: list[WeightProbe] = []
        self.scalings: list[Scaling] = []
        self.scaled = {
            index: OwnStates(layout, one) for index, one in self.source_parameters.items()
        }
        self.settled: list[OwnStates | SettledTraces] = [*self.scaled.values()]

    def _make_ring(self) -> InputRing:
        wiring, layout = self.wiring, self.layout
        # pulled rows arrive in the loop in which they are due, and need no room ahead
        plans = [one.plan for one in wiring.row_sets] + [one.plan for one in wiring.generators]
        ahead = max((plan.longest for plan in plans if not plan.pull), default=0)
        rows = 1 << min(ahead, wiring.largest_delay).bit_length()
        sources = {one.pre.population for one in layout.network.projections}
        spikes = max((spikes_per_step(self.neurons[one].population) for one in sources), default=0)
        most = spikes * wiring.load.max(axis=1, initial=0) + largest_input(layout, self.quanta)
        kind = np.int32 if most.max() < 2**31 else np.int64
        self.room = np.iinfo(kind).max - most
        shape = (most.size, rows, 1 << layout.target_bits)
        return InputRing(np.zeros(shape, kind))

    def connect(self, exchange: Exchange | None, epoch_steps: int, reach: int) -> None:
        """Set how spikes are exchanged, and compile (or load) every kernel that is used.

        Parameters
        ----------
        exchange : Exchange or None
            The exchange; None on a single rank.
        epoch_steps : int
            Most loops between exchanges; at most the smallest delay between ranks (of a group,
            where there are groups).
        reach : int
            The longest delay of the whole network, steps.
        """
        self.reach, self._history = reach, History()
        layout = self.layout
        self._exchange = exchange or Alone(self.most_spikes, epoch_steps)
        swap = self._exchange
        state = self._state
        known = swap.complete_until
        self._known_until = state[loop.EPOCH_START :][:1] if known is None else known
        state[loop.EPOCH_STEPS] = epoch_steps
        state[loop.MAX_SPIKES_PER_ITERATION] = self.most_spikes
        self._emitted: dict[int, npt.NDArray[Any]] = {
            emission.EMITTED: swap.send_buffer[1 + epoch_steps :],
            emission.N_EMITTED: state[loop.N_EMITTED : loop.N_EMITTED + emission.COUNTS_SIZE],
            emission.GROUP_GID: layout.group_gid,
            emission.GROUP_SIZE: layout.group_size,
        }
        self._received = spikes = swap.received_gid, swap.received_step
        static: list[Delivery | ProceduralDelivery] = [
            *(
                Delivery(one, self.ring, *spikes, of_rows(layout, one, self.source_parameters))
                for one in self.wiring.row_sets
            ),
            *(ProceduralDelivery(one, self.ring, *spikes) for one in self.wiring.generators),
        ]
        rows = self.wiring.plastic
        self.plastic_ring = plastic_ring(layout, rows, self.ring)
        lists = SpikeLists(*spikes, state, self._known_until)
        self.plastic = [
            PlasticDelivery(
                *(layout, self.quanta, one, self.plastic_ring, lists, reach, self.seed),
                self.neurons[layout.network.projections[one.projection].post.population],
            )
            for one in rows
        ]
        self.settled += [one.settled for one in self.plastic]
        of = {one.projection.name: one for one in self.plastic}
        self.scalings = [
            Scaling(layout, one, [of[name] for name in one.projections])
            for one in layout.network.homeostasis
        ]
        # targets' spikes are noted before sources' spikes look for them
        self._static: list[Delivery | ProceduralDelivery | PlasticTargets] = [
            *(one.targets for one in self.plastic if one.targets.deliver is not None),
            *static,
        ]
        modulations = [one.modulation for one in self.plastic if one.modulation is not None]
        self._described: list[
            Delivery | ProceduralDelivery | PlasticTargets | Modulation | PlasticDelivery
        ] = [*self._static, *modulations, *self.plastic]
        self._merges = merge_calls(rows, self.plastic_ring, self.ring)
        self.stimuli = Stimuli(layout, self.quanta, self.ring, self.neurons, self.seed)
        self._updates = {
            name: self._update(one) for name, one in self.neurons.items() if one.first < one.last
        }
        self._calls: dict[str, list[Call]] = {
            "updates": [*self._updates.values()],
            "probes": self._probe_calls(),
        }
        self._tables = {name: call_table(calls) for name, calls in self._calls.items()}
        self._tables["stimuli"] = self.stimuli.table
        self.use_changed_weights(None)
        self._exchange_call = np.array(
            [swap.address, address(swap.table), address(swap.scalars)], np.int64
        )
        self._events_before = 0
        self._hold_states()
        self.run(0, lambda step, gid: None)

    def use_changed_weights(self, flying: Spikes | None) -> None:
        """Deliver with the weights that were set; all ranks' spikes in flight, too."""
        sets = [one for changed in self.changed_weights.values() for one in changed.row_sets()]
        differences = [Delivery(one, self.ring, *self._received) for one in sets]
        self.deliveries = [*self._described, *differences]
        collects = [one.collect for one in self.deliveries if one.collect is not None]
        self._calls["collects"] = [*collects, *self._merges]
        self._calls["delivers"] = [
            one.deliver for one in self.deliveries if one.deliver is not None
        ]
        for name in ("collects", "delivers"):
            self._tables[name] = call_table(self._calls[name])
        if flying is not None:
            schedule_again(differences, self.ring, self._received, flying, self.step)

    def _hold_states(self) -> None:
        """List what holds the state."""
        for name, neurons in self.neurons.items():
            neurons.set_parameters = partial(self._restore_parameters, name)
        reached = sorted({one.projection.post.population for one in self.plastic})
        self.state_holders: list[StateHolder] = [
            *self.neurons.values(),
            *(one.activity for one in self.scalings if one.activity is not None),
            *self.stimuli.gammas,
            *self.scaled.values(),
            *(one.sent for one in self.scaled.values()),
            *(holder for one in self.plastic for holder in one.state_holders),
            *self.changed_weights.values(),
            *(PendingInput(self.layout, self.plastic_ring, name) for name in reached),
        ]
        rows = (one.states for one in self.deliveries)
        self.state_followers: list[StateHolder] = [
            *(one for one in rows if one is not None),
            *(one.sources for one in self.plastic),
        ]

    def _probe_calls(self) -> list[Call]:
        watches = (one.targets.after_update for one in self.plastic)
        return [
            *(call for call in watches if call is not None),
            *(call for one in self.probes if one.on for call in one.calls),
        ]

    def _update(self, neurons: Neurons) -> Call:
        return update_call(
            *(self.layout, neurons, self.quanta, self.ring, self._emitted, self._spiked, self.seed)
        )

    def update_with(self, population: str, parameters: Parameters) -> Call | None:
        """Return the compiled update call with other parameters, which are not set.

        It is None where there are no neurons.

        Raises
        ------
        DescriptionError
            If the neurons cannot be integrated with them.
        """
        if population not in self._updates:
            return None
        call = self._update(replace(self.neurons[population], parameters=parameters))
        _ = call.entry.address  # which compiles it
        return call

    def set_parameters(
        self, population: str, parameters: Parameters, changed: Iterable[str], update: Call | None
    ) -> None:
        """Set a population's parameters; states stay as they are in the user's units.

        Parameters
        ----------
        population : str
            The population.
        parameters : dict of str to ndarray of float64
            All of its parameters.
        changed : iterable of str
            Those that are new.
        update : Call or None
            What `update_with` returned.
        """
        neurons = self.neurons[population]
        neuron_parameters.change(neurons, parameters, changed)
        for probe in self.probes:
            if probe.recording.target.population == population:
                probe.follow(neurons)
        for projection in self.plastic:
            if projection.target_population == neurons.index:
                projection.targets.follow(neurons)
        if update is not None:
            self._updates[population] = update
            self._calls["updates"] = [*self._updates.values()]
            self._tables["updates"] = call_table(self._calls["updates"])

    def set_rule_parameters(
        self, plastic: PlasticDelivery, constants: RuleConstants, changed: Iterable[str]
    ) -> None:
        """Set parameters of a plastic projection, for all that comes after this step.

        Parameters
        ----------
        plastic : PlasticDelivery
            The projection.
        constants : RuleConstants
            What its `constants_of` returned.
        changed : iterable of str
            Those that are new.
        """
        plastic.rows.changed |= {name: constants.parameters[name] for name in changed}
        # also where constants are equal on this rank: they may differ on another
        plastic.change(constants, self.step, self.settle())

    def set_source_parameters(
        self, parameters: SourceParameters, changed: Mapping[str, npt.NDArray[np.float64]]
    ) -> None:
        """Set parameters of a projection's synapse model, for the spikes that are sent after now.

        States are brought up to now with the parameters of before. Spikes in flight keep the
        factors with which they were sent.

        Parameters
        ----------
        parameters : SourceParameters
            The projection's.
        changed : mapping of str to ndarray of float64, shape () or (n_sources,)
            The new values, the same on all ranks.
        """
        everyone = self.states_now(parameters)
        parameters.changed |= changed
        for states in everyone:
            states.use_parameters()

    def states_now(self, parameters: SourceParameters) -> list[SourceStates]:
        """Return all that has a state of a projection's synapse model, brought up to now."""
        rows = (one.states for one in self.deliveries)
        own = [one for one in self.scaled.values() if one.parameters is parameters]
        followers = [one for one in rows if one is not None and one.parameters is parameters]
        self.follow()
        everyone = [*own, *followers]
        for states in everyone:
            states.bring_up(self.step)
        return everyone

    def _restore_parameters(
        self, population: str, parameters: Parameters, changed: Iterable[str]
    ) -> None:
        update = self.update_with(population, parameters)
        self.set_parameters(population, parameters, changed, update)

    @property
    def most_steps(self) -> int:
        """Most loops of one `run`: what the buffers of recordings hold."""
        of_weights = (one.most_steps for one in self.weight_probes)
        return min([most_steps(self.layout.network), *of_weights])

    @property
    def step(self) -> int:
        """Loops done."""
        return int(self._state[loop.ITERATION])

    def samplers(self) -> dict[str, list[Probe] | list[WeightProbe]]:
        """Return what records states and weights, by the folders of a store."""
        return {"state": self.probes, "weights": self.weight_probes}

    def switch_recording(self, folder: str, name: str, on: bool) -> None:
        """Switch a recording of states or weights on or off, once connected and drained."""
        for one in self.samplers()[folder]:
            if one.recording.name == name:
                one.on = on
        self._calls["probes"] = self._probe_calls()
        self._tables["probes"] = call_table(self._calls["probes"])

    def record_weights(self, choices: Iterable[Choice]) -> None:
        """Record weights from now on, once connected."""
        of = {one.projection.name: one for one in self.plastic}
        self.weight_probes = [WeightProbe(of[one.recording.projection], one) for one in choices]

    def run(self, steps: int, spikes: TakeSpikes) -> None:
        """Run some loops.

        Parameters
        ----------
        steps : int
            Loops to run; at most `most_steps`.
        spikes : callable
            Takes this rank's spikes, ``(step, gid)`` in that order; the arrays are not reused.

        Raises
        ------
        EngineError
            If the exchange failed.
        ValueError
            If the probes' buffers do not hold that many loops.
        """
        end = self.step + steps
        probes: list[Probe | WeightProbe] = [*self.probes, *self.weight_probes]
        for probe in probes:
            probe.check_room(self.step, end)
        while True:
            began = self.step
            # weights are known where all ranks' spikes are delivered: at an epoch's end
            weight_probes = (one for one in self.weight_probes if one.on)
            between: list[Scaling | WeightProbe] = [*self.scalings, *weight_probes]
            pauses = ((began // one.every + 1) * one.every for one in between)
            self._state[loop.STOP] = min([end, *pauses])
            self._run_to_stop(spikes)
            for one in between if self.step > began else ():
                if self.step % one.every == 0:
                    one.act(self.step)
            if self.step == end:
                return

    def _run_to_stop(self, spikes: TakeSpikes) -> None:
        state = self._state
        while True:
            status = self._loop(self._tables, self._exchange_call)
            if state[loop.PYTHON_REQUESTED]:
                state[loop.PYTHON_REQUESTED] = 0
                for plastic in self.plastic:
                    plastic.make_room_to_watch()
            n = int(state[loop.N_SPIKES])
            if n:
                step, gid = self._spike_step[:n], self._spike_gid[:n]
                step, gid = self._history.append(step, gid)
                until = int(step[-1]) - self.reach
                if self._history.overdue(until):
                    self._settle(until)
                for one in self.scalings:
                    one.spikes(step, gid)
                spikes(step, gid)
                state[loop.N_SPIKES] = 0
            if status == loop.DONE:
                return

    def emit(
        self, source: str, step: npt.NDArray[np.integer], neurons: npt.NDArray[np.integer]
    ) -> None:
        """Let spike sources emit further spikes, stamped later than now.

        Parameters
        ----------
        source : str
            A population of spike sources.
        step, neurons : ndarray of int, shape (n,)
            Stamps, and indices in the population, other ranks' too; none twice in a step.
        """
        if source in self._updates:
            index = self.neurons[source].index
            spike_sources.emit(self._updates[source], self.layout, index, step, neurons)

    def _settle(self, until: int) -> None:
        """Let go of the spikes stamped up to a step, which have no events ahead of them."""
        for step, gid in self._history.drop_until(until):
            for one in self.settled:
                one.settle(step, gid)

    def settle(self) -> Spikes:
        """Bring all that is saved to this step; return this rank's spikes in flight."""
        self._settle(self.step - self.reach)
        for projection in self.plastic:
            projection.sweep(self.step)
        return self.follow()

    def follow(self) -> Spikes:
        """Let the states of this rank's sources take all spikes; return those not let go of."""
        kept = self._history.kept()
        for one in self.scaled.values():
            one.follow(*kept)
        return kept

    def _loop(self, tables: Mapping[str, Table], exchange: Table) -> int:
        """Enter the compiled loop until it is done, or has spikes that must be taken."""
        state, swap = self._state, self._exchange
        while True:
            status = loop.run(
                state,
                self._spent,
                tables["collects"],
                tables["stimuli"],
                tables["updates"],
                tables["probes"],
                tables["delivers"],
                exchange,
                swap.send_buffer,
                swap.n_received,
                swap.received_gid,
                swap.received_step,
                self._spike_step,
                self._spike_gid,
            )
            if status == loop.FAILED:
                raise EngineError(swap.error_text(int(state[loop.ERROR])))
            if status != loop.GROW:
                return int(status)
            self.deliveries[int(state[loop.PENDING_AT])].grow()

    def resume(self, step: int, flying: Spikes) -> None:
        """Go on from a step: what earlier spikes still have to deliver enters the rings again.

        The states are the caller's to set. The loops that the spikes were emitted in are run once
        more without neurons: a row that these would have consumed is cleared instead.

        Parameters
        ----------
        step : int
            Loops done.
        flying : (ndarray of int32, ndarray of uint32)
            The spikes, of all ranks, stamped in (step - longest delay, step], in that order.
        """
        steps, gids = flying
        for projection in self.plastic:
            projection.use_changed()
        self._deliver_again(step, flying)
        self._at(step, stop=step)
        self._state[loop.EPOCHS] = 0
        self._events_before = sum(one.events for one in self._described)
        mine = self.layout.is_local(gids)
        if mine.any():
            self._history.append(steps[mine], gids[mine])
        for projection in self.plastic:
            projection.resume(step, flying)
        self.use_changed_weights(flying)

    def _deliver_again(self, step: int, flying: Spikes) -> None:
        """Deliver spikes in flight once more, with the factors that they were sent with."""
        state, swap, rows = self._state, self._exchange, self.ring.rows
        nth = occurrences((flying[0].astype(np.int64) << 32) | flying[1])
        # a record has the factor of one spike: several of a source in a step come one by one
        order = np.lexsort((nth, flying[0]))
        steps, gids, nth = flying[0][order], flying[1][order], nth[order]
        factors = {
            one.projection.name: one.sent.resume(flying)[order] for one in self.scaled.values()
        }
        given = [
            (one, one.states.rows_of(gids), factors[one.states.projection.name])
            for one in self._static
            if isinstance(one, Delivery) and one.states is not None
        ]
        for one, *_ in given:
            one.use_given_factors(True)
        silent = dict.fromkeys(self._tables, call_table([]))
        # plastic input on its way is saved, as weights have changed since the spikes
        collects = [one.collect for one in self._static if one.collect is not None]
        delivers = [one.deliver for one in self._static if one.deliver is not None]
        silent |= {"collects": call_table(collects), "delivers": call_table(delivers)}
        nothing = np.zeros_like(self._exchange_call)
        first = int(steps[0]) - 1 if steps.size else step
        bounds = np.flatnonzero(np.diff(steps, prepend=-1) | np.diff(nth, prepend=-1))
        parts = [*pairwise([*bounds.tolist(), steps.size])][::-1]
        for k in range(first, step):
            self._at(k, stop=k + 1)
            self._loop(silent, nothing)
            rows[:, k & (rows.shape[1] - 1)] = 0
            while parts and steps[parts[-1][0]] == k + 1:
                begin, end = parts.pop()
                for one, row, factor in given:
                    one.give_factors(row[begin:end], factor[begin:end])
                swap.received_gid[: end - begin] = gids[begin:end]
                swap.received_step[: end - begin] = k
                state[loop.PENDING] = end - begin if delivers else 0
                self._loop(silent, nothing)
        for one, *_ in given:
            one.use_given_factors(False)

    def fault(self) -> Fault | None:
        """Return what went wrong first with a neuron or synapse of this rank, if anything did."""
        neurons = neuron_fault(self._state[loop.N_EMITTED :], self.layout.network)
        found = [neurons, *(projection.fault() for projection in self.plastic)]
        return min((Fault(*fault) for fault in found if fault is not None), default=None)

    def _at(self, k: int, *, stop: int) -> None:
        state = self._state
        state[loop.ITERATION] = state[loop.EPOCH_START] = state[loop.EPOCH_END] = k
        state[loop.STOP] = stop
        self._known_until[0] = k

    @property
    def events(self) -> int:
        """Synaptic events delivered so far."""
        return sum(one.events for one in self._described) - self._events_before

    @property
    def epochs(self) -> int:
        """Epochs so far."""
        return int(self._state[loop.EPOCHS])

    def spent(self) -> dict[str, int]:
        """Return the time spent by phase, in ticks of unknown length."""
        ticks = self._spent
        return {
            "update": int(ticks[loop.UPDATE] + ticks[loop.STIMULI] + ticks[loop.PROBES]),
            "deliver": int(ticks[loop.COLLECT] + ticks[loop.DELIVER]),
            "exchange": int(ticks[loop.EXCHANGE]),
            "record": int(ticks[loop.RECORD]),
        }
