"""Spiking actor and critic that learn to balance a pole on a cart.

Gymnasium's CartPole-v1 in a closed loop with an actor and a critic after Frémaux, Sprekeler &
Gerstner (2013), "Reinforcement learning using a continuous time actor-critic framework with spiking
neurons", PLoS Comput Biol 9:e1003024. Place cells are Poisson relays that encode the state. The two
halves of the actors inhibit each other. The half with more spikes in 20 ms, one step of the
environment, pushes the cart to its side. The spikes of the critic predict a failure. Exploration
comes from the stochastic spiking of the neurons. A source spike before a target spike makes a
synapse eligible (Izhikevich 2007, Cereb Cortex 17:2443), and the prediction error of the critic, a
signal to all synapses, converts eligibility into weight.

Only rank 0 has the environment. The prediction error of a step needs the critic's response to the
next state, so it acts one step later. Differences from the paper: time is discrete; the critic
predicts punishment instead of reward, so that it is silent and learning ends once the pole is
balanced; a place cell encodes a pair of state variables instead of all four.

``python -m distsnn.examples.cartpole`` trains and tests with five seeds. Under ``mpiexec -n 2`` the
result is the same. It needs the extra `examples`.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.coding import GaussianFields
from distsnn.comm import Communicator, world
from distsnn.errors import DescriptionError
from distsnn.extras import extra
from distsnn.network import (
    AllToAll,
    DopamineSTDP,
    GifPscExp,
    Network,
    ParrotNeuron,
    PoissonInput,
    Population,
    Projection,
    Uniform,
)
from distsnn.simulation import Simulation

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

STEP = 20.0  # ms, of the environment
REST = 200.0  # ms without input after an episode: eligibility decays
DT = 1.0  # ms
SEEDS = (21, 22, 23, 24, 25)  # other seeds than those that the constants were chosen with
LIMIT = 200  # steps after which an episode ends, as in CartPole-v0
SPAN = np.array([2.0, 5.0, 0.23, 2.1])  # fields cover -span to span: m, m/s, rad, rad/s
FIELDS = GaussianFields(n_fields=8, low=-1.0, high=1.0, beta=1.25)
CELLS = FIELDS.n_fields**2  # for a pair of variables
TOTAL = (1000.0, 5000.0)  # spikes/s of all cells of the cart, and of the pole
DISCOUNT = 0.95  # per step
CERTAIN = 6.5  # spikes of each critic neuron in the step before a failure
RATES = {"place->actors": -0.0065, "place->critic": 0.009}  # 1/ms, per error
NEURON = GifPscExp(
    C_m=70.0,
    g_L=20.0,
    V_reset=-70.0,
    V_T_star=-70.0,
    Delta_V=1.0,
    lambda_0=10.0,
    t_ref=5.0,
    tau_syn_ex=3.0,
    tau_syn_in=3.0,
)
SYNAPSE = DopamineSTDP(w_max=7.5, tau_plus=5.0, tau_c=60.0, A_plus=1.0, A_minus=0.0)
WEIGHTS = Uniform(1.4, 1.6)  # pA, before learning
INHIBITION = -38.0  # pA, for 10 neurons on a side


def build(neurons: int = 10) -> Network:
    """Return the network.

    Parameters
    ----------
    neurons : int
        Number of actors per side; the critic has twice as many neurons.

    Raises
    ------
    DescriptionError
        If `neurons` is less than 1.
    """
    if neurons < 1:
        raise DescriptionError("too few", where="cartpole, neurons", value=neurons, allowed=">= 1")
    place = Population("place", 2 * CELLS, ParrotNeuron())
    actors = Population("actors", 2 * neurons, NEURON)
    critic = Population("critic", 2 * neurons, NEURON)
    left, right = actors[:neurons], actors[neurons:]
    inhibition = INHIBITION * 10.0 / neurons
    return Network(
        [place, actors, critic],
        [
            *(
                Projection(place, learner, AllToAll(), WEIGHTS, DT, synapse=SYNAPSE)
                for learner in (actors, critic)
            ),
            Projection(left, right, AllToAll(), inhibition, DT),
            Projection(right, left, AllToAll(), inhibition, DT),
        ],
        [PoissonInput(place, 0.5 * max(TOTAL), 1.0, name="state")],
        dt=DT,
    )


def place_rates(observation: npt.ArrayLike) -> Floats:
    """Return the rates of place cells.

    Parameters
    ----------
    observation : array_like, shape (4,)
        Position, m, and speed, m/s, of the cart, angle, rad, and its speed, rad/s, of the pole;
        values outside of the span are clipped.

    Returns
    -------
    ndarray of float64, shape (2 * CELLS,), spikes/s
        First the cells of the cart, then the cells of the pole.
    """
    scaled = np.clip(np.asarray(observation, np.float64) / SPAN, -1.0, 1.0)
    activity = FIELDS.encode(scaled[np.newaxis]).reshape(2, 2, FIELDS.n_fields)
    pairs = activity[:, 0, :, np.newaxis] * activity[:, 1, np.newaxis, :]
    fractions = pairs / pairs.sum(axis=(1, 2), keepdims=True)
    return np.asarray((fractions * np.reshape(TOTAL, (2, 1, 1))).ravel())


class CartPole:
    """Gymnasium's environment on rank 0; all ranks receive its states. Every method is collective.

    Parameters
    ----------
    ranks : Communicator
        The ranks.
    seed : int
        Seed of the initial states.
    limit : int
        Maximum number of steps of an episode.
    """

    def __init__(self, ranks: Communicator, seed: int, limit: int) -> None:
        self._ranks = ranks
        self._seed: int | None = seed
        self._environment: Any = None
        if ranks.rank == 0:
            with extra("examples"):
                import gymnasium

            self._environment = gymnasium.make("CartPole-v1", max_episode_steps=limit)

    def begin(self) -> Floats:
        """Start an episode, and return its first state."""
        state: Any = None  # bcast uses rank 0's value only
        if self._environment is not None:
            # a seed starts a sequence of episodes
            state, _ = self._environment.reset(seed=self._seed)
        self._seed = None
        return np.asarray(self._ranks.bcast(state), np.float64)

    def push(self, side: int) -> tuple[Floats, bool, bool]:
        """Push the cart to the left (0) or right (1) for one step.

        Returns
        -------
        (ndarray, bool, bool)
            The state; True if the pole fell or the cart left its track; True at the last step.
        """
        outcome: Any = None
        if self._environment is not None:
            state, _, fell, late, _ = self._environment.step(side)
            outcome = state, fell, late
        state, fell, late = self._ranks.bcast(outcome)
        return np.asarray(state, np.float64), fell, late


class Agent:
    """Network that observes a state, acts and learns. Every method is collective.

    Parameters
    ----------
    simulation : Simulation
        Simulation of the network of `build`.
    """

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._certain = CERTAIN * simulation.network.population("critic").size
        self._side = 0

    def observe(self, observation: npt.ArrayLike) -> tuple[int, float]:
        """Present a state for one step of the environment.

        Returns
        -------
        (int, float)
            The side with more spikes, 0 or 1 (the previous side if they are equal), and the
            critic's prediction: the sum of DISCOUNT**n over failures n steps ahead.
        """
        self._simulation["state"].set(rate=place_rates(observation))
        self._simulation.run(STEP)
        left, right = self._simulation["actors"].spike_counts().reshape(2, -1).sum(axis=1)
        if left != right:
            self._side = int(right > left)
        return self._side, float(self._simulation["critic"].spike_counts().sum()) / self._certain

    def set_error(self, error: float) -> None:
        """Set the prediction error that modulates all synapses from now on."""
        for projection, rate in RATES.items():
            self._simulation[projection].signal = rate * error

    def rest(self, duration: float) -> None:
        """Simulate without input for `duration`, ms."""
        self._simulation["state"].set(rate=0.0)
        self._simulation.run(duration)


def run_episode(agent: Agent, pole: CartPole, *, learn: bool) -> int:
    """Run an episode, and return its number of steps. Collective."""
    observation, before, steps, over = pole.begin(), None, 0, False
    while not over:
        side, danger = agent.observe(observation)
        observation, fell, late = pole.push(side)
        steps, over = steps + 1, fell or late
        if learn and before is not None:
            agent.set_error(DISCOUNT * danger - before)
        before = danger
    if learn and fell:
        agent.rest(STEP)
        agent.set_error(1.0 - danger)
        agent.rest(STEP)
    if learn:
        agent.set_error(0.0)
    agent.rest(REST)
    return steps


@dataclass(frozen=True, eq=False)
class LearningResult:
    """Episodes and weights of a trained network.

    Attributes
    ----------
    training, tests : ndarray of int64, shape (n_episodes,)
        Steps of each episode during training, and afterwards.
    weights : dict of str to ndarray of float64, shape (n_synapses,)
        Final weights by projection, pA.
    speed : float
        Biological time divided by wall-clock time, of all episodes.
    """

    training: Ints
    tests: Ints
    weights: dict[str, Floats]
    speed: float


def learn(
    *,
    seed: int = 1,
    episodes: int = 400,
    mastered: int = 20,
    tests: int = 100,
    limit: int = LIMIT,
    neurons: int = 10,
    communicator: Communicator | None = None,
    **settings: Any,
) -> LearningResult:
    """Train a network to balance a pole, and test it without learning. Collective.

    Parameters
    ----------
    seed : int
        Seed of the network and of the environment.
    episodes : int
        Maximum number of training episodes.
    mastered : int
        Number of consecutive episodes up to the limit after which training ends.
    tests : int
        Number of test episodes.
    limit : int
        Maximum number of steps of an episode.
    neurons : int
        Number of actors per side.
    communicator : Communicator, optional
        The ranks (default: all ranks of the job).
    **settings
        Further arguments of `Simulation`.

    Raises
    ------
    DescriptionError
        If the network cannot be built.
    """
    ranks = world() if communicator is None else communicator
    pole = CartPole(ranks, seed, limit)
    with Simulation(build(neurons), seed=seed, communicator=ranks, **settings) as simulation:
        agent = Agent(simulation)
        agent.rest(REST)
        begin, since = time.perf_counter(), simulation.time_ms
        training: list[int] = []
        while len(training) < episodes and training[-mastered:] != mastered * [limit]:
            training.append(run_episode(agent, pole, learn=True))
        for projection in RATES:
            simulation[projection].learning = False
        counts = [run_episode(agent, pole, learn=False) for _ in range(tests)]
        wall, passed = time.perf_counter() - begin, simulation.time_ms - since
        weights = {name: simulation[name].weights for name in RATES}
    return LearningResult(
        np.array(training, np.int64), np.array(counts, np.int64), weights, passed * 1e-3 / wall
    )


def draw(results: Sequence[LearningResult], path: str) -> None:
    """Draw the steps of training episodes, and the critic's weights of the first network."""
    with extra("analysis"):
        from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 3.2), layout="constrained")
    steps, danger = figure.subplots(1, 2, width_ratios=(3, 2))
    for result in results:
        steps.plot(1 + np.arange(result.training.size), result.training, linewidth=0.8)
    steps.set(xlabel="episode", ylabel="steps until the pole fell")
    onto_critic = results[0].weights["place->critic"].reshape(2, CELLS, -1).mean(axis=2)[1]
    # cell i of a row has its centre in the middle of pixel i
    (low, *_, high), half = FIELDS.centres, 0.5 * np.diff(FIELDS.centres)[0]
    ends = np.outer(SPAN[2:], (low - half, high + half)).ravel()
    image = danger.imshow(
        onto_critic.reshape(FIELDS.n_fields, -1).T, origin="lower", extent=ends, aspect="auto"
    )
    danger.set(xlabel="angle of the pole, rad", ylabel="its speed, rad/s")
    figure.colorbar(image, label="mean weight onto the critic, pA")
    figure.savefig(path, dpi=120)


def main() -> None:
    """Train and test with several seeds, print the results, and draw them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--episodes", type=int, default=400, help="maximum of training episodes")
    parser.add_argument("--tests", type=int, default=100, help="number of test episodes")
    parser.add_argument("--picture", default="cartpole.png")
    chosen = parser.parse_args()
    first, results = world().rank == 0, []
    for seed in chosen.seeds:
        result = learn(seed=seed, episodes=chosen.episodes, tests=chosen.tests, progress=False)
        results.append(result)
        if first:
            print(
                f"seed {seed}: {result.tests.mean():.1f} steps on average of {result.tests.size} "
                f"episodes (minimum {result.tests.min()}), trained in {result.training.size} "
                f"episodes of {result.training.sum()} steps; {result.speed:.0f} times real time",
                flush=True,
            )
    if first:
        draw(results, chosen.picture)


if __name__ == "__main__":
    main()
