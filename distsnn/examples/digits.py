"""Unsupervised classification of digits: STDP, competition, adaptive thresholds.

Diehl & Cook (2015), "Unsupervised learning of digit recognition using spike-timing-dependent
plasticity", Front Comput Neurosci 9:99; doi:10.3389/fncom.2015.00099. The digits are the 1797
images of 8 x 8 pixels in scikit-learn. Pixels are Poisson rates. The weights of each neuron are
normalised before every sample, and move towards the presented image at each spike. All neurons
inhibit each other, and each spike raises the neuron's threshold. Classes are used only after
training, to label each neuron by the class that it responds to most.

Differences from the paper: currents instead of conductances; direct inhibition among the neurons;
200 ms per sample, after which potentials are reset instead of a rest; images with the same sum of
intensities.

``python -m distsnn.examples.digits`` trains with two thirds of the digits, prints the accuracy on
the others and draws ``digits.png``. Under ``mpiexec -n 2`` the result is the same.
"""

import argparse
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.coding import Presentation, ResponseLabels
from distsnn.comm import world
from distsnn.errors import DescriptionError
from distsnn.extras import extra
from distsnn.network import (
    AllToAll,
    DiehlCookSTDP,
    Network,
    NeuronModel,
    ParrotNeuron,
    PoissonInput,
    Population,
    Projection,
    Uniform,
)
from distsnn.simulation import Simulation

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SAMPLE = 200.0  # ms
DT = 1.0  # ms
HIGHEST = 300.0  # spikes/s of a pixel of intensity 1
THRESHOLD = 20.0  # mV, before adaptation
TOTAL = 10.0  # mV, sum of the weights onto a neuron
INHIBITION = -60.0  # mV
SYNAPSE = DiehlCookSTDP(w_max=1.0, tau_plus=10.0, learning_rate=0.01, x_target=0.3, mu=1.0)
COLUMNS = 20  # of the drawing
PLASTIC = "pixels->neurons"

# A leaky integrator whose threshold grows with each spike.
NEURON = NeuronModel(
    equations="""
        dV_m/dt = -V_m/tau_m : mV
        dtheta/dt = 0*mV/ms : mV
        dgrowth/dt = 0*mV/ms : mV
    """,
    threshold="V_m >= V_th + theta",
    reset="V_m = 0*mV; theta += growth",
    refractory="t_ref",
    receptors={"delta": "V_m"},
    parameters={
        "tau_m": (200.0, "ms", "> 0"),
        "V_th": (THRESHOLD, "mV"),
        "theta_plus": (0.5, "mV"),
        "t_ref": (5.0, "ms"),
    },
    initial={"growth": "theta_plus"},
)


@dataclass(frozen=True, eq=False)
class Digits:
    """Images and their classes.

    Attributes
    ----------
    images : ndarray of float64, shape (n_samples, 64)
        Intensities >= 0, typically up to 1; all images have the same sum.
    classes : ndarray of int64, shape (n_samples,)
        0 to 9.
    """

    images: Floats
    classes: Ints

    def take(self, samples: Ints) -> "Digits":
        """Return the samples with these indices."""
        return Digits(self.images[samples], self.classes[samples])


def load() -> tuple[Digits, Digits]:
    """Return training and test set, always the same two thirds and third of the digits."""
    with extra("examples"):
        from sklearn.datasets import load_digits

    images, classes = load_digits(return_X_y=True)
    images = images / images.sum(axis=1, keepdims=True) * (images.sum(axis=1).mean() / 16.0)
    order = np.random.default_rng(0).permutation(classes.size)
    every = Digits(images, classes.astype(np.int64))
    return every.take(order[600:]), every.take(order[:600])


def build(neurons: int = 200, images: npt.ArrayLike | None = None) -> Network:
    """Return the network.

    Parameters
    ----------
    neurons : int
        Number of neurons.
    images : array_like, shape (n_samples, 64), optional
        Intensities of the images, presented in this order (default: one image of 0.5).

    Raises
    ------
    DescriptionError
        If `neurons` is less than 2, or an intensity is negative.
    """
    if neurons < 2:
        raise DescriptionError("too few", where="digits, neurons", value=neurons, allowed=">= 2")
    intensities = np.full((1, 64), 0.5) if images is None else np.asarray(images, np.float64)
    pixels = Population("pixels", 64, ParrotNeuron())
    layer = Population("neurons", neurons, NEURON)
    sequence = Presentation(dt=DT, n_samples=len(intensities), duration=SAMPLE)
    return Network(
        [pixels, layer],
        [
            Projection(pixels, layer, AllToAll(), Uniform(0.05, 0.3), DT, synapse=SYNAPSE),
            Projection(layer, layer, AllToAll(autapses=False), INHIBITION, DT),
        ],
        [PoissonInput(pixels, sequence.piecewise(HIGHEST * intensities), 1.0)],
        dt=DT,
    )


@dataclass(frozen=True, eq=False)
class LearningResult:
    """Weights and test results of a trained network.

    Attributes
    ----------
    weights : ndarray of float64, shape (64, n_neurons)
        Weights, mV.
    thresholds : ndarray of float64, shape (n_neurons,)
        Thresholds, mV.
    responses : ndarray of int64, shape (n_samples, n_neurons)
        Spike counts after training: samples of the training set, then of the test set.
    labels : ResponseLabels
        The neurons' classes.
    accuracy : float
        Fraction of the test set with the correct answer.
    """

    weights: Floats
    thresholds: Floats
    responses: Ints
    labels: ResponseLabels
    accuracy: float


def learn(
    training: Digits,
    test: Digits,
    *,
    neurons: int = 200,
    passes: int = 4,
    seed: int = 1,
    **settings: Any,
) -> LearningResult:
    """Train a network with the training set, label its neurons, and test it. Collective.

    Parameters
    ----------
    training, test : Digits
        Samples; test samples change no weight.
    neurons : int
        Number of neurons.
    passes : int
        Number of presentations of the training set, each in another order.
    seed : int
        Seed of the run and the orders.
    **settings
        Further arguments of `Simulation`.

    Raises
    ------
    DescriptionError
        If the network cannot be built.
    """
    random, n = np.random.default_rng(seed), training.classes.size
    orders = [random.permutation(n) for _ in range(passes)]
    learning = training.take(np.concatenate(orders))
    images = np.concatenate([learning.images, training.images, test.images])
    with Simulation(build(neurons, images), seed=seed, **settings) as simulation:
        synapses, state = simulation[PLASTIC], simulation["neurons"].state
        present(simulation, len(learning.images), normalise=True)
        simulation[PLASTIC].learning = False
        synapses.normalise(TOTAL)
        state["growth"] = 0.0
        responses = present(simulation, n + test.classes.size)
        weights = synapses.weights.reshape(64, neurons)
        thresholds = np.asarray(state["theta"] + THRESHOLD, np.float64)
    labels = ResponseLabels.fit(responses[:n], training.classes, 10)
    accuracy = float((labels.predict(responses[n:]) == test.classes).mean())
    return LearningResult(weights, thresholds, responses, labels, accuracy)


def present(simulation: Simulation, samples: int, *, normalise: bool = False) -> Ints:
    """Present the next samples, and return the spike counts of each neuron. Collective.

    Parameters
    ----------
    simulation : Simulation
        Simulation of the network.
    samples : int
        Number of samples.
    normalise : bool
        Normalise the weights before every sample.

    Returns
    -------
    ndarray of int64, shape (samples, n_neurons)
    """
    synapses, state = simulation[PLASTIC], simulation["neurons"].state
    counts = []
    for _ in range(samples):
        state["V_m"] = 0.0
        if normalise:
            synapses.normalise(TOTAL)
        simulation.run(SAMPLE)
        counts.append(simulation["neurons"].spike_counts())
    return np.array(counts)


def draw(result: LearningResult, path: str) -> None:
    """Draw the neurons' weights as images, in the order of their labels."""
    with extra("analysis"):
        from matplotlib.image import imsave

    order = np.argsort(result.labels.labels, kind="stable")
    rows = -(-order.size // COLUMNS)
    tiles = np.zeros((rows * COLUMNS, 9, 9))
    tiles[: order.size, :8, :8] = result.weights.T[order].reshape(-1, 8, 8)
    picture = tiles.reshape(rows, COLUMNS, 9, 9).transpose(0, 2, 1, 3).reshape(9 * rows, -1)
    imsave(path, np.kron(picture, np.ones((4, 4))), cmap="gray_r")


def main() -> None:
    """Train and test for some seeds, print accuracies, and draw the first network's weights."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--neurons", type=int, default=200)
    parser.add_argument("--passes", type=int, default=4)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--picture", default="digits.png")
    chosen = parser.parse_args()
    training, test = load()
    first = world().rank == 0
    for seed in chosen.seeds:
        result = learn(
            training, test, neurons=chosen.neurons, passes=chosen.passes, seed=seed, progress=False
        )
        if first:
            print(f"seed {seed}: accuracy {result.accuracy:.1%} on {test.classes.size} digits")
            if seed == chosen.seeds[0]:
                draw(result, chosen.picture)


if __name__ == "__main__":
    main()
