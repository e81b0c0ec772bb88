"""A pole on a cart that is kept upright by spiking neurons, which reward and failure teach.

Gymnasium's CartPole-v1 in a closed loop, an actor and a critic as of Frémaux, Sprekeler & Gerstner
(2013), "Reinforcement learning using a continuous time actor-critic framework with spiking
neurons", PLoS Comput Biol 9:e1003024. Place cells are Poisson relays that tell the state; the two
halves of the actors inhibit each other, and the one with more spikes in 20 ms, a step of the
environment, pushes the cart to its side; the critic's spikes tell how near a failure is. Neurons
spike by chance, which is all the exploration there is. Pairs of spikes, source before target, make
synapses eligible (Izhikevich 2007, Cereb Cortex 17:2443), and the error of the critic's
prediction, a signal to all synapses, turns that into weight.

Rank 0 alone has the environment. The error of a step is known, and acts, one step later, when the
next state has been judged. What deviates from the paper: time has steps, the critic predicts
punishment in place of reward, so that it is silent once all is well and nothing is learnt any more,
and place cells see pairs of the state's variables instead of all four.

``python -m distsnn.examples.cartpole`` learns and tests with five seeds; ``mpiexec -n 2`` before it
changes nothing but the time. It needs the extra `examples`.
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
REST = 200.0  # ms without input after an episode: eligibility fades
DT = 1.0  # ms
SEEDS = (21, 22, 23, 24, 25)  # not those with which constants were chosen
LIMIT = 200  # steps after which an episode ends, as in CartPole-v0
SPAN = np.array([2.0, 5.0, 0.23, 2.1])  # fields reach from -span to span: m, m/s, rad, rad/s
FIELDS = GaussianFields(n_fields=8, low=-1.0, high=1.0, beta=1.25)
CELLS = FIELDS.n_fields**2  # of a pair of variables
TOTAL = (1000.0, 5000.0)  # spikes/s of all cells that see the cart, and of those that see the pole
DISCOUNT = 0.95  # of a step
CERTAIN = 6.5  # spikes of each neuron of the critic in a step that tell of a failure at once
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
WEIGHTS = Uniform(1.4, 1.6)  # pA, before anything is learnt
INHIBITION = -38.0  # pA, for 10 neurons on a side


def build(neurons: int = 10) -> Network:
    """Return the network.

    Parameters
    ----------
    neurons : int
        Number of actors on either side; the critic has as many as both.

    Raises
    ------
    DescriptionError
        If there are none.
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
        what is outside of the span is taken to its end.

    Returns
    -------
    ndarray of float64, shape (2 * CELLS,), spikes/s
        Of the cells that see the cart, and of those that see the pole.
    """
    scaled = np.clip(np.asarray(observation, np.float64) / SPAN, -1.0, 1.0)
    seen = FIELDS.encode(scaled[np.newaxis]).reshape(2, 2, FIELDS.n_fields)
    pairs = seen[:, 0, :, np.newaxis] * seen[:, 1, np.newaxis, :]
    shares = pairs / pairs.sum(axis=(1, 2), keepdims=True)
    return np.asarray((shares * np.reshape(TOTAL, (2, 1, 1))).ravel())


class CartPole:
    """Gymnasium's environment on rank 0, whose states all ranks see. Every method is collective.

    Parameters
    ----------
    ranks : Communicator
        The ranks.
    seed : int
        Of the states in which episodes begin.
    limit : int
        Steps after which an episode ends.
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
        """Begin an episode, and return the state."""
        state: Any = None  # what the other ranks give is not looked at
        if self._environment is not None:
            # a seed begins a sequence of episodes
            state, _ = self._environment.reset(seed=self._seed)
        self._seed = None
        return np.asarray(self._ranks.bcast(state), np.float64)

    def push(self, side: int) -> tuple[Floats, bool, bool]:
        """Push the cart to the left (0) or right (1) for a step.

        Returns
        -------
        (ndarray, bool, bool)
            The state, whether the pole fell or the cart left its track, and whether time is up.
        """
        outcome: Any = None
        if self._environment is not None:
            state, _, fell, late, _ = self._environment.step(side)
            outcome = state, fell, late
        state, fell, late = self._ranks.bcast(outcome)
        return np.asarray(state, np.float64), fell, late


class Agent:
    """A network that sees a state, acts and learns. Every method is collective.

    Parameters
    ----------
    simulation : Simulation
        Of `build`'s network.
    """

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._certain = CERTAIN * simulation.network.population("critic").size
        self._side = 0

    def see(self, observation: npt.ArrayLike) -> tuple[int, float]:
        """Look at a state for a step of the environment.

        Returns
        -------
        (int, float)
            The side with more spikes, 0 or 1, or the last one if there is none; and how near a
            failure is: the sum of DISCOUNT**n over those in n steps, as the critic tells.
        """
        self._simulation["state"].set(rate=place_rates(observation))
        self._simulation.run(STEP)
        left, right = self._simulation["actors"].spike_counts().reshape(2, -1).sum(axis=1)
        if left != right:
            self._side = int(right > left)
        return self._side, float(self._simulation["critic"].spike_counts().sum()) / self._certain

    def err(self, error: float) -> None:
        """Tell all synapses by how much danger was underestimated, from now on."""
        for projection, rate in RATES.items():
            self._simulation[projection].signal = rate * error

    def rest(self, duration: float) -> None:
        """See nothing for a time, ms."""
        self._simulation["state"].set(rate=0.0)
        self._simulation.run(duration)


def balance(agent: Agent, pole: CartPole, *, learn: bool) -> int:
    """Let an episode pass, and return its number of steps. Collective."""
    observation, before, steps, over = pole.begin(), None, 0, False
    while not over:
        side, danger = agent.see(observation)
        observation, fell, late = pole.push(side)
        steps, over = steps + 1, fell or late
        if learn and before is not None:
            agent.err(DISCOUNT * danger - before)
        before = danger
    if learn and fell:
        agent.rest(STEP)
        agent.err(1.0 - danger)
        agent.rest(STEP)
    if learn:
        agent.err(0.0)
    agent.rest(REST)
    return steps


@dataclass(frozen=True, eq=False)
class Learnt:
    """What a network has come to.

    Attributes
    ----------
    training, tests : ndarray of int64, shape (n_episodes,)
        Steps of each episode while it learnt, and afterwards.
    weights : dict of str to ndarray of float64, shape (n_synapses,)
        Weights at the end by projection, pA.
    speed : float
        Biological time by wall time of all episodes.
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
) -> Learnt:
    """Let a network learn to balance a pole, and test it without learning. Collective.

    Parameters
    ----------
    seed : int
        Of the network and of the environment.
    episodes : int
        Most episodes to learn from.
    mastered : int
        Learning ends after so many episodes in a row that were balanced up to the limit.
    tests : int
        Number of episodes afterwards.
    limit : int
        Steps after which an episode ends.
    neurons : int
        As of `build`.
    communicator : Communicator, optional
        The ranks; by default all of the job.
    **settings
        As of `Simulation`.

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
            training.append(balance(agent, pole, learn=True))
        for projection in RATES:
            simulation[projection].learning = False
        counts = [balance(agent, pole, learn=False) for _ in range(tests)]
        wall, passed = time.perf_counter() - begin, simulation.time_ms - since
        weights = {name: simulation[name].weights for name in RATES}
    return Learnt(
        np.array(training, np.int64), np.array(counts, np.int64), weights, passed * 1e-3 / wall
    )


def draw(learnt: Sequence[Learnt], path: str) -> None:
    """Draw the steps of episodes while networks learnt, and where the first one sees danger."""
    with extra("analysis"):
        from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 3.2), layout="constrained")
    steps, danger = figure.subplots(1, 2, width_ratios=(3, 2))
    for one in learnt:
        steps.plot(1 + np.arange(one.training.size), one.training, linewidth=0.8)
    steps.set(xlabel="episode", ylabel="steps until the pole fell")
    onto_critic = learnt[0].weights["place->critic"].reshape(2, CELLS, -1).mean(axis=2)[1]
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
    """Learn and test with some seeds, print what was reached, and draw it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--episodes", type=int, default=400, help="most episodes to learn from")
    parser.add_argument("--tests", type=int, default=100, help="episodes afterwards")
    parser.add_argument("--picture", default="cartpole.png")
    chosen = parser.parse_args()
    first, found = world().rank == 0, []
    for seed in chosen.seeds:
        learnt = learn(seed=seed, episodes=chosen.episodes, tests=chosen.tests, progress=False)
        found.append(learnt)
        if first:
            print(
                f"seed {seed}: {learnt.tests.mean():.1f} steps on average of {learnt.tests.size} "
                f"episodes (least {learnt.tests.min()}), learnt in {learnt.training.size} episodes "
                f"of {learnt.training.sum()} steps; {learnt.speed:.0f} times real time",
                flush=True,
            )
    if first:
        draw(found, chosen.picture)


if __name__ == "__main__":
    main()
