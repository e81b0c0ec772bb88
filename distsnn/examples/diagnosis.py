"""Supervised diagnosis from noisy measurements.

The data are the breast-cancer measurements of Wolberg, Street & Mangasarian in scikit-learn (569
patients, 30 measurements each). Noise is added to all measurements, in training and test. Fibres
with overlapping Gaussian receptive fields (Bohte, Kok & La Poutre 2002, Neurocomputing 48:17)
encode each measurement as Poisson spikes. Plastic synapses connect them to two groups of neurons,
one per diagnosis. The group with more spikes is the answer.

Learning is contrastive (Movellan 1990, "Contrastive Hebbian learning in the continuous Hopfield
model"; with spikes: Neftci et al. 2014, Front Neurosci 7:272). Each patient is presented twice:
first the neurons respond freely, and the synapses unlearn this response (signal -1); then a
teaching current drives the correct group and silences the other, and the synapses learn (signal
1). The neurons spike stochastically and are refractory for t_ref, so that each is active with
probability 1/(1 + exp(-V)) (Buesing et al. 2011, PLoS Comput Biol 7:e1002211). The mean weight
change is therefore the gradient of the likelihood of logistic regression, eta' x (target - p),
estimated from random spikes, one patient at a time, with bounded weights. A plastic weight >= 0
and a fixed inhibitory weight together give effective weights of both signs.

Accuracy on the 189 patients of the test set in %, mean and range over seeds 1, 2 and 3:

=====  ===================  ===================
noise  spiking network      logistic regression
=====  ===================  ===================
0      95.6 (95.2 to 95.8)  97.9 (97.9 to 97.9)
0.5    94.2 (93.1 to 94.7)  94.2 (93.7 to 94.7)
1      91.2 (90.5 to 91.5)  91.2 (88.4 to 92.6)
2      86.2 (84.1 to 87.3)  87.1 (84.1 to 88.9)
4      74.3 (70.9 to 76.7)  76.5 (69.3 to 80.4)
=====  ===================  ===================

The noise is in standard deviations of the measurements. The constants were chosen with the last 100
patients of the training set left out of training. ``python -m distsnn.examples.diagnosis`` prints
the table and draws ``diagnosis.png``. Under ``mpiexec -n 2`` the result is the same.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.coding import GaussianFields, ZScore
from distsnn.comm import world
from distsnn.errors import DescriptionError
from distsnn.extras import extra
from distsnn.network import (
    AllToAll,
    ConstantCurrent,
    ContrastiveSTDP,
    GifPscExp,
    Network,
    ParrotNeuron,
    PoissonInput,
    Population,
    Projection,
)
from distsnn.simulation import Simulation

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

DT = 1.0  # ms
TRAINING = 380  # patients; the others are the test set
RANGE = 2.0  # of the measurements, in standard deviations; the fields cover -RANGE to RANGE
FIELDS = GaussianFields(n_fields=5, low=-RANGE, high=RANGE)
HIGHEST = 60.0  # spikes/s of a fibre in the centre of its field
# ms: transient without counting or learning, learning phase, test
SETTLE, SHOWN, ANSWER = 30.0, 100.0, 200.0
HIGHEST_WEIGHT = 0.5  # pA, half of the plastic weights' range; also the fixed inhibition
TEACHER = 30.0  # pA
LEARNING_RATE = 0.001  # pA
PLASTIC = "fibres->diagnoses"
LEVELS = (0.0, 0.5, 1.0, 2.0, 4.0)

# With C_m/g_L below a step V_m follows the current, in units of Delta_V.
NEURON = GifPscExp(
    g_L=1.0,
    C_m=0.5,
    E_L=0.0,
    V_reset=0.0,
    V_T_star=0.0,
    Delta_V=1.0,
    lambda_0=100.0,
    t_ref=10.0,
    tau_syn_ex=20.0,
    tau_syn_in=20.0,
)


@dataclass(frozen=True, eq=False)
class Patients:
    """Measurements and diagnoses.

    Attributes
    ----------
    values : ndarray of float64, shape (n_patients, 30)
        Measurements, normalised by mean and standard deviation of the training set.
    classes : ndarray of int64, shape (n_patients,)
        0 malignant, 1 benign.
    """

    values: Floats
    classes: Ints

    def take(self, patients: Ints) -> "Patients":
        """Return the patients with these indices."""
        return Patients(self.values[patients], self.classes[patients])


def load(level: float = 0.0, seed: int = 1) -> tuple[Patients, Patients]:
    """Return training and test set with noise, always of the same 380 and 189 patients.

    Parameters
    ----------
    level : float
        Standard deviation of the noise, in standard deviations of the measurements.
    seed : int
        Seed of the noise.
    """
    with extra("examples"):
        from sklearn.datasets import load_breast_cancer

    values, classes = load_breast_cancer(return_X_y=True)
    order = np.random.default_rng(0).permutation(classes.size)
    clean = ZScore.fit(values[order[:TRAINING]]).apply(values[order])
    noisy = clean + level * np.random.default_rng(seed).normal(size=clean.shape)
    noisy = ZScore.fit(noisy[:TRAINING]).apply(noisy)
    every = Patients(noisy, classes[order].astype(np.int64))
    return every.take(np.arange(TRAINING)), every.take(np.arange(TRAINING, classes.size))


def rates(values: npt.ArrayLike) -> Floats:
    """Return the rates of the fibres, spikes/s, shape (n_patients, 150).

    Parameters
    ----------
    values : array_like, shape (n_patients, 30)
        Normalised measurements; values beyond the outermost fields are clipped.
    """
    edge = FIELDS.centres[-1]
    return HIGHEST * FIELDS.encode(np.clip(values, -edge, edge))


def build(neurons: int = 10, initial_rates: npt.ArrayLike | None = None) -> Network:
    """Return the network.

    Parameters
    ----------
    neurons : int
        Number of neurons per diagnosis.
    initial_rates : array_like, shape (150,), optional
        Rates of the fibres, spikes/s, until a script sets them (default: for mean measurements).

    Raises
    ------
    DescriptionError
        If `neurons` is less than 1, or the rates have another shape.
    """
    if neurons < 1:
        raise DescriptionError("too few", where="diagnosis, neurons", value=neurons, allowed=">= 1")
    if initial_rates is None:
        initial_rates = rates(np.zeros((1, 30)))[0]
    fibres = Population("fibres", 30 * FIELDS.n_fields, ParrotNeuron())
    diagnoses = Population("diagnoses", 2 * neurons, NEURON)
    rule = ContrastiveSTDP(w_max=2.0 * HIGHEST_WEIGHT, tau=10.0, eta=LEARNING_RATE)
    weight = HIGHEST_WEIGHT
    return Network(
        [fibres, diagnoses],
        [
            Projection(fibres, diagnoses, AllToAll(), weight, DT, synapse=rule, name=PLASTIC),
            Projection(fibres, diagnoses, AllToAll(), -weight, DT),
        ],
        [
            PoissonInput(fibres, np.asarray(initial_rates, np.float64), 1.0, name="measurements"),
            ConstantCurrent(diagnoses, 0.0, name="teacher"),
        ],
        dt=DT,
    )


@dataclass(frozen=True, eq=False)
class LearningResult:
    """Weights and test results of a trained network.

    Attributes
    ----------
    weights : ndarray of float64, shape (150, 2 * neurons)
        Plastic weights, pA.
    counts : ndarray of int64, shape (n_patients, 2)
        Spikes of each group for each patient of the test set.
    accuracy : float
        Fraction of the test set with the correct answer.
    """

    weights: Floats
    counts: Ints
    accuracy: float


def learn(
    training: Patients,
    test: Patients,
    *,
    neurons: int = 10,
    passes: int = 6,
    seed: int = 1,
    **settings: Any,
) -> LearningResult:
    """Train a network with the training set, and test it. Collective.

    Parameters
    ----------
    training, test : Patients
        Samples; test samples change no weight.
    neurons : int
        Number of neurons per diagnosis.
    passes : int
        Number of presentations of the training set, each in another order.
    seed : int
        Seed of the run and the orders.
    **settings
        Further arguments of `Simulation`.
    """
    random = np.random.default_rng(seed)
    n = training.classes.size
    fibres = rates(training.values)
    with Simulation(build(neurons), seed=seed, **settings) as simulation:
        for _ in range(passes):
            for patient in random.permutation(n):
                simulation["measurements"].set(rate=fibres[patient])
                correct = np.repeat(np.arange(2) == training.classes[patient], neurons)
                teach(simulation, np.where(correct, TEACHER, -TEACHER))
        counts = [answer(simulation, patient_rates) for patient_rates in rates(test.values)]
        weights = simulation[PLASTIC].weights.reshape(-1, 2 * neurons)
    accuracy = float((np.argmax(counts, axis=1) == test.classes).mean())
    return LearningResult(weights, np.array(counts), accuracy)


def teach(simulation: Simulation, teacher: Floats) -> None:
    """Present one patient: unlearn the free response, then learn the taught one. Collective.

    Parameters
    ----------
    simulation : Simulation
        Simulation of the network, with the rates of the fibres set.
    teacher : ndarray of float64, shape (2 * neurons,)
        Teaching currents, pA.
    """
    for current, signal in ((np.zeros_like(teacher), -1.0), (teacher, 1.0)):
        simulation["teacher"].set(amplitude=current)
        simulation.run(SETTLE)
        simulation[PLASTIC].signal = signal
        simulation.run(SHOWN)
        simulation[PLASTIC].signal = 0.0


def answer(simulation: Simulation, fibres: Floats) -> Ints:
    """Present one patient without teaching, and return the spike count of each group. Collective.

    Parameters
    ----------
    simulation : Simulation
        Simulation of the network, with signal 0.
    fibres : ndarray of float64, shape (150,)
        Rates of the fibres, spikes/s.

    Returns
    -------
    ndarray of int64, shape (2,)
    """
    simulation["measurements"].set(rate=fibres)
    simulation["teacher"].set(amplitude=0.0)
    simulation.run(SETTLE)
    simulation.run(ANSWER)
    counts: Ints = simulation["diagnoses"].spike_counts().reshape(2, -1).sum(axis=1)
    return counts


def logistic(training: Patients, test: Patients) -> float:
    """Return the accuracy of logistic regression on the test set."""
    with extra("examples"):
        from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(max_iter=1000).fit(training.values, training.classes)
    return float(fitted.score(test.values, test.classes))


def compare(levels: Sequence[float], seeds: Sequence[int], **settings: Any) -> Floats:
    """Return accuracies of the network and of logistic regression by noise. Collective.

    Parameters
    ----------
    levels : sequence of float
        Standard deviations of the noise, in standard deviations of the measurements.
    seeds : sequence of int
        Seeds of noise, network and orders.
    **settings
        Further arguments of `learn`.

    Returns
    -------
    ndarray of float64, shape (n_levels, n_seeds, 2)
    """
    accuracies = []
    for level in levels:
        for seed in seeds:
            sets = load(level, seed)
            accuracies.append((learn(*sets, seed=seed, **settings).accuracy, logistic(*sets)))
    return np.array(accuracies).reshape(len(levels), len(seeds), 2)


def draw(levels: Sequence[float], accuracies: Floats, path: str) -> None:
    """Draw mean and range over seeds of the accuracies that `compare` returned."""
    with extra("analysis"):
        from matplotlib.figure import Figure

    figure = Figure(figsize=(5.0, 3.5), layout="constrained")
    axes = figure.subplots()
    for column, label in enumerate(("spiking network", "logistic regression")):
        percent = 100.0 * accuracies[:, :, column]
        mean = percent.mean(axis=1)
        spread = np.stack([mean - percent.min(axis=1), percent.max(axis=1) - mean])
        axes.errorbar(levels, mean, spread, label=label, capsize=3)
    axes.set_xlabel("noise (standard deviations of the measurements)")
    axes.set_ylabel("accuracy on the test set (%)")
    axes.legend()
    figure.savefig(path, dpi=100)


def main() -> None:
    """Print and draw accuracies by noise."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--levels", type=float, nargs="+", default=LEVELS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--picture", default="diagnosis.png")
    chosen = parser.parse_args()
    accuracies = compare(chosen.levels, chosen.seeds)
    if world().rank == 0:
        print("noise   spiking network       logistic regression   (%, mean and range over seeds)")
        for level, row in zip(chosen.levels, 100.0 * accuracies, strict=True):
            texts = (f"{x.mean():.1f} ({x.min():.1f} to {x.max():.1f})" for x in row.T)
            print(f"{level:5.1f}   {'   '.join(texts)}")
        draw(chosen.levels, accuracies, chosen.picture)


if __name__ == "__main__":
    main()
