"""Boltzmann machine of spiking neurons that learns, classifies and generates digits.

Neftci, Das, Pedroni, Kreutz-Delgado & Cauwenberghs (2014), "Event-driven contrastive divergence for
spiking neuromorphic systems", Front Neurosci 7:272; doi:10.3389/fnins.2013.00272. Visible neurons
represent pixels and classes. Visible and hidden neurons are connected with the same weights in both
directions. The neurons spike stochastically and are refractory for t_ref, so that each is active
with probability 1/(1 + exp(-V)) (Buesing et al. 2011, PLoS Comput Biol 7:e1002211): the network
samples a Boltzmann machine.

The network learns the 8 x 8 digits of scikit-learn. In the first phase, currents impose a digit
and its class on the visible neurons, and the synapses learn (signal 1). In the second phase, the
network runs freely, and the synapses unlearn its activity (signal -1). With the symmetric rule
`ContrastiveSTDP` the sum of both phases is the gradient of contrastive divergence. In the test,
currents impose the pixels only, and the class with the most spikes is the answer.

The axonal delay is half of the delay, so both directions of a pair process spikes in the same order
and keep equal weights, except for rounding where both neurons spike in one step. A plastic weight
>= 0 and a fixed inhibitory weight together give effective weights of both signs. In each layer, one
neuron is always active and provides the biases of the other layer.

Differences from the paper: neurons with escape noise replace integrate-and-fire neurons with noisy
currents; three neurons per pixel, each active above one intensity, replace graded currents; biases
of pixels start at their log odds; signals decrease to 0 during training.

``python -m distsnn.examples.boltzmann`` trains with two thirds of the digits, prints the accuracy
on the others and draws ``boltzmann.png``. Under ``mpiexec -n 2`` the result is the same.
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
LEVELS = (0.2, 0.45, 0.75)  # intensities; each pixel has one neuron per level
PIXELS = 64 * len(LEVELS)
COPIES = 4  # neurons per class
VISIBLE = PIXELS + 10 * COPIES + 1  # the last neuron is always active
CLAMP = 30.0  # pA, imposes activity or silence
DELAY = 2.0  # ms
PERIOD = 11.0  # ms, interspike interval of an always active neuron: t_ref and one step
# ms: transient without counting or learning, learning phase, test
SETTLE, SHOWN, ANSWER = 30.0, 60.0, 400.0
MIDDLE = 1.0  # pA, fixed inhibition, in the middle of the plastic weights' range
SPREAD = 0.05  # pA, standard deviation of initial weights
LEARNING_RATE = 0.002  # pA
PATHS = ("visible->hidden", "hidden->visible")


def code(images: npt.ArrayLike) -> Floats:
    """Return the activity of the pixel neurons.

    Parameters
    ----------
    images : array_like, shape (n_samples, 64)
        Intensities.

    Returns
    -------
    ndarray of float64, shape (n_samples, PIXELS)
        0 or 1: first the neurons of all pixels for the lowest intensity, then for the next one.
    """
    above = np.asarray(images, np.float64)[:, np.newaxis] >= np.array(LEVELS)[:, np.newaxis]
    return above.reshape(-1, PIXELS).astype(np.float64)


def image(activity: Floats) -> Floats:
    """Return images: the activity of the pixel neurons, averaged over the levels.

    Parameters
    ----------
    activity : ndarray of float64, shape (..., PIXELS)
        Fractions of time during which the neurons are active.

    Returns
    -------
    ndarray of float64, shape (..., 8, 8)
    """
    levels = activity.reshape(*activity.shape[:-1], len(LEVELS), 8, 8)
    return np.asarray(levels.mean(axis=-3))


def build(hidden: int = 100, seed: int = 1) -> Network:
    """Return the network, without current into visible neurons.

    Parameters
    ----------
    hidden : int
        Number of hidden neurons.
    seed : int
        Seed of the initial weights.

    Raises
    ------
    DescriptionError
        If `hidden` is less than 1.
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
    """Return currents into free visible neurons, pA, shape (VISIBLE,).

    They are log odds: of pixels in the training set, limited to 50 to 1, and 1 to 9 for classes.
    """
    probability = np.clip(code(training.images).mean(axis=0), 0.02, 0.98)
    classes = np.full(10 * COPIES, np.log(1.0 / 9.0))
    return np.concatenate([np.log(probability / (1.0 - probability)), classes, [0.0]])


def currents(
    free: Floats, pixels: npt.ArrayLike = np.nan, classes: npt.ArrayLike = np.nan
) -> Floats:
    """Return currents into visible neurons; some neurons are free, others are imposed.

    Parameters
    ----------
    free : ndarray of float64, shape (VISIBLE,)
        Currents into free neurons, pA.
    pixels : array_like, shape (PIXELS,)
        1 active, 0 silent, nan free.
    classes : array_like, shape (10,)
        The same for classes.

    Returns
    -------
    ndarray of float64, shape (VISIBLE,), pA
    """
    state = np.ones(VISIBLE)
    state[:PIXELS] = pixels
    state[PIXELS:-1] = np.repeat(np.broadcast_to(classes, 10), COPIES)
    return np.where(np.isnan(state), free, CLAMP * (2.0 * state - 1.0))


@dataclass(frozen=True, eq=False)
class LearningResult:
    """Weights and test results of a trained network.

    Attributes
    ----------
    up, down : ndarray of float64, shape (VISIBLE, hidden + 1)
        Plastic weights from visible to hidden neurons, and back, pA.
    counts : ndarray of int64, shape (n_samples, 10)
        Spikes of each class for each digit of the test set.
    accuracy : float
        Fraction of the test set with the correct answer.
    images : ndarray of float64, shape (4, n_drawn, 8, 8)
        For the first test digit of each class: the digit; activity after the currents end; activity
        with the upper half imposed; activity with the class imposed.
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
) -> LearningResult:
    """Train a network with the training set, and test it. Collective.

    Parameters
    ----------
    training, test : Digits
        Samples; test samples change no weight.
    hidden : int
        Number of hidden neurons.
    passes : int
        Number of presentations of the training set, each in another order.
    seed : int
        Seed of the run, the initial weights and the orders.
    **settings
        Further arguments of `Simulation`.

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
            imposed = currents(free, pixels[sample], classes[training.classes[sample]])
            for current, signal in ((imposed, rate), (currents(free), -rate)):
                set_phase(simulation, current, signal)
        counts = np.array([answer(simulation, free, digit) for digit in code(test.images)])
        images = imagine(simulation, free, test)
        up, down = (simulation[name].weights for name in PATHS)
    return LearningResult(
        up.reshape(VISIBLE, -1),
        down.reshape(-1, VISIBLE).T,
        counts,
        float((counts.argmax(axis=1) == test.classes).mean()),
        images,
    )


def set_phase(simulation: Simulation, current: Floats, signal: float) -> None:
    """Learn, or unlearn, the network's activity under a current into visible neurons. Collective.

    Parameters
    ----------
    simulation : Simulation
        Simulation of the network.
    current : ndarray of float64, shape (VISIBLE,)
        Result of `currents`, pA.
    signal : float
        > 0 to learn, < 0 to unlearn.
    """
    simulation["clamp"].set(amplitude=current)
    simulation.run(SETTLE)
    for name in PATHS:
        simulation[name].signal = signal
    simulation.run(SHOWN)
    for name in PATHS:
        simulation[name].signal = 0.0


def count_visible_spikes(simulation: Simulation, current: Floats, duration: float) -> Ints:
    """Return the spike count of each visible neuron after the transient. Collective."""
    simulation["clamp"].set(amplitude=current)
    simulation.run(SETTLE)
    simulation.run(duration)
    counts: Ints = simulation["visible"].spike_counts()
    return counts


def answer(simulation: Simulation, free: Floats, pixels: Floats) -> Ints:
    """Present a digit, and return the spike count of each class, shape (10,). Collective.

    Class neurons are silenced first: otherwise the answer to the previous digit would persist.
    """
    simulation["clamp"].set(amplitude=currents(free, pixels, 0.0))
    simulation.run(SETTLE)
    counts = count_visible_spikes(simulation, currents(free, pixels), ANSWER)
    return np.asarray(counts[PIXELS:-1].reshape(10, COPIES).sum(axis=1))


def imagine(simulation: Simulation, free: Floats, test: Digits) -> Floats:
    """Return `LearningResult.images`. Collective."""
    rows = []
    for sample in np.unique(test.classes, return_index=True)[1]:
        pixels = code(test.images[[sample]])[0]
        half = np.where(np.arange(PIXELS) % 64 < 32, pixels, np.nan)
        answer(simulation, free, pixels)
        free_running = count_visible_spikes(simulation, currents(free), SHOWN) / SHOWN
        answer(simulation, free, half)
        completed = count_visible_spikes(simulation, currents(free, half), ANSWER) / ANSWER
        named = currents(free, classes=np.eye(10)[test.classes[sample]])
        imagined = count_visible_spikes(simulation, named, ANSWER) / ANSWER
        rates = np.array([free_running, completed, imagined])[:, :PIXELS]
        rows.append(image(np.vstack([pixels, PERIOD * rates])))
    return np.array(rows).swapaxes(0, 1)


def draw(images: Floats, path: str) -> None:
    """Draw `LearningResult.images`, one row per kind of image."""
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
        result = learn(
            training, test, hidden=chosen.hidden, passes=chosen.passes, seed=seed, progress=False
        )
        if first:
            print(f"seed {seed}: accuracy {result.accuracy:.1%} on {test.classes.size} digits")
            if seed == chosen.seeds[0]:
                draw(result.images, chosen.picture)


if __name__ == "__main__":
    main()
