"""What is read and set between two runs: states of neurons, weights of plastic synapses."""

from distsnn.comm import Communicator
from distsnn.engine.rank_engine import RankEngine
from distsnn.network import Target
from distsnn.simulation.state_access import NeuronStates
from distsnn.simulation.weight_access import PlasticSynapses, set_learning, set_signal


class BetweenRuns:
    """The part of a simulation that gives access to its state. Every method is collective."""

    _engine: RankEngine
    _communicator: Communicator

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
        return NeuronStates(self._engine, self._communicator, target)

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
        return PlasticSynapses(self._engine, self._communicator, projection)

    def learning(self, projection: str, on: bool) -> None:
        """Switch the learning of a plastic projection on or off, from now on. Collective.

        Without it weights stay as they are; traces follow the spikes in any case.

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

    def signal(self, projection: str, value: float) -> None:
        """Set the signal that modulates a plastic projection, from now on. Collective.

        Parameters
        ----------
        projection : str
            Its name.
        value : float
            Such as a reward; 0 until it is set.

        Raises
        ------
        DescriptionError
            If there is no such projection, no signal modulates it, the value is not finite, or
            ranks give different ones.
        """
        set_signal(self._engine, self._communicator, projection, value)
