"""What a script does between two runs: it reads and sets states, parameters, inputs and weights."""

import numpy as np
import numpy.typing as npt

from distsnn.comm import Communicator
from distsnn.engine.rank_engine import RankEngine
from distsnn.network import Target
from distsnn.network.values import ValueLike
from distsnn.simulation.connection_access import read_connections
from distsnn.simulation.inputs import Inputs
from distsnn.simulation.last_spikes import Spikes
from distsnn.simulation.output import Output
from distsnn.simulation.parameter_access import NeuronParameters
from distsnn.simulation.scripted import Scripted
from distsnn.simulation.state_access import NeuronStates, synapse_states
from distsnn.simulation.weight_access import PlasticSynapses, set_learning, set_signal


class BetweenRuns:
    """The part of a simulation that gives access to its state. Every method is collective."""

    _engine: RankEngine
    _communicator: Communicator
    _inputs: Inputs
    _scripted: Scripted
    _output: Output

    def state(self, target: Target) -> NeuronStates:
        """Return the states of some neurons, to be read and set between two runs. Collective.

        Parameters
        ----------
        target : Population, View or str
            The neurons.

        Raises
        ------
        DescriptionError
            If there are no such neurons, or ranks name different ones.
        """
        return NeuronStates(self._engine, self._communicator, target, self._scripted)

    def parameters(self, target: Target) -> NeuronParameters:
        """Return the parameters of some neurons, to be read and set between two runs. Collective.

        Parameters
        ----------
        target : Population, View or str
            The neurons.

        Raises
        ------
        DescriptionError
            If there are no such neurons, or ranks name different ones.

        Examples
        --------
        >>> simulation.parameters("E")["V_th"] = -52.0  # doctest: +SKIP
        >>> simulation.parameters(E[:50])["I_e"] = Normal(300.0, 20.0)
        """
        return NeuronParameters(self._engine, self._communicator, target, self._scripted)

    def synapses(self, projection: str) -> dict[str, npt.NDArray[np.float64]]:
        """Return what a named projection's synapse model knows (`synapse_states`). Collective."""
        return synapse_states(self._engine, self._communicator, projection)

    def spikes(self, target: Target) -> Spikes:
        """Return the spikes of some neurons in the last run, recorded or not. Collective.

        Parameters
        ----------
        target : Population, View or str
            The neurons.

        Returns
        -------
        (ndarray of int32, ndarray of uint32)
            Stamps (steps) and gids of all ranks, in the order of (step, gid).

        Raises
        ------
        DescriptionError
            If there are no such neurons, ranks name different ones, or the spikes are not kept:
            above 4 million of a rank in one run, or before a checkpoint that was restored.
        """
        return self._output.last.of(target)

    def spike_counts(self, target: Target) -> npt.NDArray[np.int64]:
        """Return how often each of some neurons spiked in the last run. Collective.

        As `spikes`, in the order of gids.
        """
        return self._output.last.counts(target)

    def set(self, name: str, **fields: ValueLike) -> None:
        """Set a stimulus, from the next step on until it is set again. Collective.

        What rank 0 gives counts, and what the other ranks do is not looked at.

        Parameters
        ----------
        name : str
            Name of a `PoissonInput`, `ConstantCurrent`, `StepCurrent`, `SineCurrent` or
            `NoiseCurrent`.
        **fields : float or array_like (n_targets,)
            ``rate=`` of a Poisson input, spikes/s, ``amplitude=`` of a current, ``mean=`` and
            ``sd=`` of noise, pA, or ``amplitude=``, ``frequency=``, ``phase=`` and ``offset=`` of a
            sine of currents or rates. It acts when the stimulus does, between its start and stop;
            that of a `StepCurrent` at once, and its course is over.

        Raises
        ------
        DescriptionError
            On rank 0, if there is no such stimulus or it cannot have such a value.
        RankError
            On the others.

        Examples
        --------
        >>> simulation.set("drive", rate=8000.0)  # doctest: +SKIP
        >>> simulation.set("push", amplitude=[0.0, 120.0, 0.0])  # doctest: +SKIP
        """
        self._inputs.set(name, fields)

    def emit(
        self,
        source: str,
        neurons: ValueLike,
        times: ValueLike | None = None,
        weights: ValueLike | None = None,
    ) -> None:
        """Add spikes to those described of a `SpikeSource` or a `SpikeInput`. Collective.

        What rank 0 gives counts, and what the other ranks do is not looked at.

        Parameters
        ----------
        source : str
            Name of the population, whose neurons emit them, or of the stimulus, whose targets get
            them.
        neurons : int or array_like of int, shape (n_spikes,)
            The neuron (index in the population or the target) of each spike.
        times : float or array_like (n_spikes,), optional
            When, ms, on the grid and later than now; by default at the next step.
        weights : float or array_like (n_spikes,), optional
            Weights of a stimulus' spikes; by default the one of all that are described.

        Raises
        ------
        DescriptionError
            On rank 0, if there is no such source or neuron, a time is past or off the grid, a
            source's neuron would spike twice in a step, or weights are missing, or too large for
            the sums of a step's input.
        RankError
            On the others.

        Examples
        --------
        >>> simulation.emit("sensors", [3, 7])  # doctest: +SKIP
        >>> simulation.emit("sensors", [3, 3], [10.2, 10.9])  # doctest: +SKIP
        """
        self._inputs.emit(source, neurons, times, weights)

    def connections(
        self, projection: str, source: Target | None = None, target: Target | None = None
    ) -> npt.NDArray[np.void]:
        """Return a projection's connections as a table, by (source, target). Collective.

        Parameters
        ----------
        projection : str
            The projection's name, such as ``"E->I"``. Its storage format does not matter.
        source, target : Population, View or str, optional
            Neurons to which the connections are limited. Every rank receives the whole table. To
            make it, a rank draws all of the projection's synapses onto its neurons, about 100 bytes
            each, whatever the limits.

        Returns
        -------
        structured ndarray, shape (n_connections,)
            ``source`` and ``target`` (gids), current ``weight`` in the target model's unit,
            ``delay`` in ms, and the states of a plasticity rule by their names. With a synapse
            model, the weight is the unscaled weight.

        Raises
        ------
        DescriptionError
            If there is no such projection, it does not connect these neurons, ranks name different
            ones, or its edge file has changed.

        Examples
        --------
        >>> table = simulation.connections("E->I", source=E[:100])  # doctest: +SKIP
        >>> table["weight"].mean()
        >>> pandas.DataFrame(table)
        """
        return read_connections(self._engine, self._communicator, projection, source, target)

    def weights(self, projection: str) -> PlasticSynapses:
        """Return the synapses of a plastic projection, whose weights are read and set. Collective.

        Parameters
        ----------
        projection : str
            Its name, such as ``"E->E"``.

        Raises
        ------
        DescriptionError
            If there is no such projection, it is not plastic, or ranks name different ones.
        """
        return PlasticSynapses(self._engine, self._communicator, projection, self._scripted)

    def learning(self, projection: str, on: bool) -> None:
        """Switch the learning of a plastic projection on or off, from now on. Collective.

        Without it weights stay as they are; traces and synapses' states follow spikes in any case.

        Parameters
        ----------
        projection : str
            Its name.
        on : bool
            Whether it learns.

        Raises
        ------
        DescriptionError
            If there is no such projection, it is not plastic, or ranks were told different things.
        """
        set_learning(self._engine, self._communicator, projection, on)
        self._scripted.note(projection)

    def signal(self, projection: str, value: float) -> None:
        """Set the signal that modulates a plastic projection, from now on. Collective.

        What rank 0 gives counts, and what the other ranks do is not looked at.

        Parameters
        ----------
        projection : str
            Its name.
        value : float
            Such as a reward; 0 until it is set.

        Raises
        ------
        DescriptionError
            On rank 0, if there is no such projection, no signal modulates it, or the value is not
            finite.
        RankError
            On the others.
        """
        self._scripted.note(set_signal(self._engine, self._communicator, projection, value))
