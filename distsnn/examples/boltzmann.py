"""Digits learnt by a Boltzmann machine of spiking neurons, which also imagines some.

Neftci, Das, Pedroni, Kreutz-Delgado & Cauwenberghs (2014), "Event-driven contrastive divergence for
spiking neuromorphic systems", Front Neurosci 7:272; doi:10.3389/fnins.2013.00272. Visible neurons,
which stand for pixels and classes, and hidden ones excite and inhibit each other with weights that
are the same in both directions. The neurons spike by chance and are refractory for t_ref, so that
they are active with probability 1/(1 + exp(-V)) (Buesing et al. 2011, PLoS Comput Biol
7:e1002211): the network draws samples of a Boltzmann machine.

It learns the 8 x 8 digits that scikit-learn ships. Currents make visible neurons spike or not as
the digit and its class have it, and synapses learn what happens (signal 1). Then the visible
neurons are let go, and what the network makes of the digit by itself is unlearnt (signal -1).
Symmetric STDP, `ContrastiveSTDP`, turns that into the gradient of contrastive divergence. A digit
of the test set is shown by its pixels alone, and the class that spikes most is the answer.

Both directions see the same: a synapse lies half-way between its neurons, with half of the delay on
either side, so that weights that were the same stay so, but for rounding where both spike in one
step. Weights of both signs are plastic weights >= 0 and a fixed inhibition. A neuron of each layer
that is always on gives the other layer its biases.

What deviates: neurons with escape noise instead of integrate-and-fire neurons with noisy currents;
a pixel has a neuron for each of three intensities, active where it reaches them, instead of graded
currents; pixels' biases begin at their log odds; signals come down to 0 during training.

``python -m distsnn.examples.boltzmann`` trains on two thirds of the digits, prints the accuracy on
the others and draws ``boltzmann.png``; ``mpiexec -n 2`` before it changes nothing but the time.
"""

import argparse
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.comm import world
from distsnn.errors import DescriptionError
from distsnn.examples.diagnosis import NEURON
from distsnn.examples.digits import Digits, load
from distsnn.extras import extra
from distsnn.network import (
    AllToAll,
    ConstantCurrent,
    ContrastiveSTDP,
    Network,
    Population,
    Projection,
)
from distsnn.simulation import Simulation

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

DT = 1.0  # ms
LEVELS = (0.2, 0.45, 0.75)  # intensities; each pixel has a neuron for each of them
PIXELS = 64 * len(LEVELS)
COPIES = 4  # neurons of a class
VISIBLE = PIXELS + 10 * COPIES + 1  # the last is always on
CLAMP = 30.0  # pA, makes neurons spike or not
DELAY = 2.0  # ms
PERIOD = 11.0  # ms, of a neuron that is always on: t_ref and a step
SETTLE, SHOWN, ANSWER = 30.0, 60.0, 400.0  # ms: until spikes count, of learning, of the test
MIDDLE = 1.0  # pA, the fixed inhibition; weights are as much above it as below
SPREAD = 0.05  # pA, standard deviation of weights at first
LEARNING_RATE = 0.002  # pA
PATHS = ("visible->hidden", "hidden->visible")


def code(images: npt.ArrayLike) -> Floats:
    """Return which neurons of pixels are active.

    Parameters
    ----------
    images : array_like, shape (n_samples, 64)
        Intensities.

    Returns
    -------
    ndarray of float64, shape (n_samples, PIXELS)
        0 or 1: first those of the lowest intensity of all pixels, then those of the next.
    """
    above = np.asarray(images, np.float64)[:, np.newaxis] >= np.array(LEVELS)[:, np.newaxis]
    return above.reshape(-1, PIXELS).astype(np.float64)


def image(activity: Floats) -> Floats:
    """Return the mean over the levels of the activity of pixels' neurons.

    Parameters
    ----------
    activity : ndarray of float64, shape (..., PIXELS)
        Shares of the time for which neurons are active.

    Returns
    -------
    ndarray of float64, shape (..., 8, 8)
    """
    levels = activity.reshape(*activity.shape[:-1], len(LEVELS), 8, 8)
    return np.asarray(levels.mean(axis=-3))


def build(hidden: int = 100, seed: int = 1) -> Network:
    """Return the network, with no current onto visible neurons.

    Parameters
    ----------
    hidden : int
        Number of hidden neurons.
    seed : int
        Of the weights at first.

    Raises
    ------
    DescriptionError
        If there are no hidden neurons.
    """
    if hidden < 1:
        raise DescriptionError("too few", where="boltzmann, hidden", value=hidden, allowed=">= 1")
    first = np.random.default_rng(seed).normal(MIDDLE, SPREAD, (VISIBLE, hidden + 1))
    visible = Population("visible", VISIBLE, NEURON)
    features = Population("hidden", hidden + 1, NEURON)
    layers = visible, features
    rule = ContrastiveSTDP(
        w_max=2.0 * MIDDLE, tau=10.0, eta=LEARNING_RATE, axonal_delay=0.5 * DELAY
    )
    projections = []
    for name, pre, post, weights in zip(PATHS, layers, layers[::-1], (first, first.T), strict=True):
        projections += [
            Projection(pre, post, AllToAll(), weights, DELAY, synapse=rule, name=name),
            Projection(pre, post, AllToAll(), -MIDDLE, DELAY),
        ]
    return Network(
        layers,
        projections,
        [
            ConstantCurrent(visible, 0.0, name="clamp"),
            ConstantCurrent(features, np.append(np.zeros(hidden), CLAMP)),
        ],
        dt=DT,
    )


def biases(training: Digits) -> Floats:
    """Return currents onto visible neurons that are free, pA, shape (VISIBLE,).

    They are log odds: those with which pixels are active in the training set, at most 50 to 1, and
    1 to 9 for classes.
    """
    share = np.clip(code(training.images).mean(axis=0), 0.02, 0.98)
    classes = np.full(10 * COPIES, np.log(1.0 / 9.0))
    return np.concatenate([np.log(share / (1.0 - share)), classes, [0.0]])


def currents(
    free: Floats, pixels: npt.ArrayLike = np.nan, classes: npt.ArrayLike = np.nan
) -> Floats:
    """Return currents onto visible neurons, some of which are made to spike or not.

    Parameters
    ----------
    free : ndarray of float64, shape (VISIBLE,)
        Currents onto those that are free, pA.
    pixels : array_like, shape (PIXELS,)
        1, 0, or nan where neurons are free.
    classes : array_like, shape (10,)
        The same of classes.

    Returns
    -------
    ndarray of float64, shape (VISIBLE,), pA
    """
    state = np.ones(VISIBLE)
    state[:PIXELS] = pixels
    state[PIXELS:-1] = np.repeat(np.broadcast_to(classes, 10), COPIES)
    return np.where(np.isnan(state), free, CLAMP * (2.0 * state - 1.0))


@dataclass(frozen=True, eq=False)
class Learnt:
    """What a network has come to.

    Attributes
    ----------
    up, down : ndarray of float64, shape (VISIBLE, hidden + 1)
        Plastic weights from visible to hidden neurons, and back, pA.
    counts : ndarray of int64, shape (n_samples, 10)
        Spikes of each class for each digit of the test set.
    accuracy : float
        Share of the test set that is told right.
    images : ndarray of float64, shape (4, n_drawn, 8, 8)
        The first test digit of each class: as it was shown; what the network made of it when it was
        let go; what it made of its upper half; and what it made of its class.
    """

    up: Floats
    down: Floats
    counts: Ints
    accuracy: float
    images: Floats


def learn(
    training: Digits,
    test: Digits,
    *,
    hidden: int = 100,
    passes: int = 3,
    seed: int = 1,
    **settings: Any,
) -> Learnt:
    """Let a network learn the training set, and test it. Collective.

    Parameters
    ----------
    training, test : Digits
        Samples; while those of the test set are shown nothing changes.
    hidden : int
        Number of hidden neurons.
    passes : int
        How often the training set is shown, each time in another order.
    seed : int
        Of the run, the weights at first and the orders.
    **settings
        As of `Simulation`.

    Raises
    ------
    DescriptionError
        If the network cannot be built.
    """
    random, n = np.random.default_rng(seed), training.classes.size
    order = np.concatenate([random.permutation(n) for _ in range(passes)] or [np.zeros(0, int)])
    free, pixels, classes = biases(training), code(training.images), np.eye(10)
    with Simulation(build(hidden, seed), seed=seed, **settings) as simulation:
        for sample, rate in zip(
            order, np.linspace(1.0, 0.0, order.size, endpoint=False), strict=True
        ):
            seen = currents(free, pixels[sample], classes[training.classes[sample]])
            for current, signal in ((seen, rate), (currents(free), -rate)):
                teach(simulation, current, signal)
        counts = np.array([answer(simulation, free, one) for one in code(test.images)])
        images = imagine(simulation, free, test)
        up, down = (simulation[name].weights for name in PATHS)
    return Learnt(
        up.reshape(VISIBLE, -1),
        down.reshape(-1, VISIBLE).T,
        counts,
        float((counts.argmax(axis=1) == test.classes).mean()),
        images,
    )


def teach(simulation: Simulation, current: Floats, signal: float) -> None:
    """Let synapses learn, or unlearn, what neurons do with a current onto visible ones. Collective.

    Parameters
    ----------
    simulation : Simulation
        Of the network.
    current : ndarray of float64, shape (VISIBLE,), pA
        As of `currents`.
    signal : float
        Above 0 to learn, below 0 to unlearn.
    """
    simulation["clamp"].set(amplitude=current)
    simulation.run(SETTLE)
    for name in PATHS:
        simulation[name].signal = signal
    simulation.run(SHOWN)
    for name in PATHS:
        simulation[name].signal = 0.0


def watch(simulation: Simulation, current: Floats, duration: float) -> Ints:
    """Return the spikes of each visible neuron once they have settled. Collective."""
    simulation["clamp"].set(amplitude=current)
    simulation.run(SETTLE)
    simulation.run(duration)
    counts: Ints = simulation["visible"].spike_counts()
    return counts


def answer(simulation: Simulation, free: Floats, pixels: Floats) -> Ints:
    """Show a digit, and return the spikes of each class, shape (10,). Collective.

    Classes are silent at first: a network that has made up its mind stays with it, and that of the
    last digit would count for this one.
    """
    simulation["clamp"].set(amplitude=currents(free, pixels, 0.0))
    simulation.run(SETTLE)
    counts = watch(simulation, currents(free, pixels), ANSWER)
    return np.asarray(counts[PIXELS:-1].reshape(10, COPIES).sum(axis=1))


def imagine(simulation: Simulation, free: Floats, test: Digits) -> Floats:
    """Return `Learnt.images`. Collective."""
    found = []
    for sample in np.unique(test.classes, return_index=True)[1]:
        pixels = code(test.images[[sample]])[0]
        half = np.where(np.arange(PIXELS) % 64 < 32, pixels, np.nan)
        answer(simulation, free, pixels)
        again = watch(simulation, currents(free), SHOWN) / SHOWN
        answer(simulation, free, half)
        completed = watch(simulation, currents(free, half), ANSWER) / ANSWER
        named = currents(free, classes=np.eye(10)[test.classes[sample]])
        imagined = watch(simulation, named, ANSWER) / ANSWER
        rates = np.array([again, completed, imagined])[:, :PIXELS]
        found.append(image(np.vstack([pixels, PERIOD * rates])))
    return np.array(found).swapaxes(0, 1)


def draw(images: Floats, path: str) -> None:
    """Draw `Learnt.images`: a row of what was shown, let go, completed and imagined."""
    with extra("analysis"):
        from matplotlib.image import imsave

    tiles = np.pad(np.clip(images, 0.0, 1.0), ((0, 0), (0, 0), (0, 1), (0, 1)))
    picture = tiles.transpose(0, 2, 1, 3).reshape(9 * tiles.shape[0], -1)
    imsave(path, np.kron(picture, np.ones((6, 6))), cmap="gray_r", vmin=0.0, vmax=1.0)


def main() -> None:
    """Train and test for some seeds, print accuracies, and draw the first network's images."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--hidden", type=int, default=100)
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--picture", default="boltzmann.png")
    chosen = parser.parse_args()
    training, test = load()
    first = world().rank == 0
    for seed in chosen.seeds:
        learnt = learn(
            training, test, hidden=chosen.hidden, passes=chosen.passes, seed=seed, progress=False
        )
        if first:
            print(f"seed {seed}: {100 * learnt.accuracy:.1f} % of {test.classes.size} digits right")
            if seed == chosen.seeds[0]:
                draw(learnt.images, chosen.picture)


if __name__ == "__main__":
    main()
