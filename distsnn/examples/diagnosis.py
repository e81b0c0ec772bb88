"""Diagnosis from noisy measurements by neurons that a teacher corrects.

The breast-cancer data of Wolberg, Street & Mangasarian (569 patients, 30 measurements each), which
scikit-learn ships. Noise is added to all measurements, in training and in use. Each is coded by
fibres with overlapping Gaussian fields (Bohte, Kok & La Poutre 2002, Neurocomputing 48:17) that
spike as Poisson processes. They reach two groups of neurons, one for each diagnosis, through
synapses that learn; the group that spikes more often decides.

Learning is contrastive (Movellan 1990, "Contrastive Hebbian learning in the continuous Hopfield
model"; by spikes: Neftci et al. 2014, Front Neurosci 7:272). A patient is shown twice: first the
neurons answer by themselves, and synapses unlearn what they do (signal -1); then a teacher's
current makes the right group spike and silences the other, and synapses learn that (signal 1).
The neurons spike by chance and are refractory for t_ref, so that they are active with probability
1/(1 + exp(-V)) (Buesing et al. 2011, PLoS Comput Biol 7:e1002211). So the mean change of weights is
the gradient of logistic regression's likelihood: eta' x (target - p), but by spikes that are drawn,
one patient at a time, and with weights between bounds. Weights of both signs are plastic weights
>= 0 and a fixed inhibition by all fibres.

Of the 189 patients of the test set, mean and range over seeds 1, 2 and 3, are right (%):

=====  ===================  ===================
noise  spiking network      logistic regression
=====  ===================  ===================
0      95.6 (95.2 to 95.8)  97.9 (97.9 to 97.9)
0.5    94.2 (93.1 to 94.7)  94.2 (93.7 to 94.7)
1      91.2 (90.5 to 91.5)  91.2 (88.4 to 92.6)
2      86.2 (84.1 to 87.3)  87.1 (84.1 to 88.9)
4      74.3 (70.9 to 76.7)  76.5 (69.3 to 80.4)
=====  ===================  ===================

The noise is given in standard deviations of the measurements. Constants were chosen by the last 100
patients of the training set, without these in training. ``python -m distsnn.examples.diagnosis``
prints the table and draws ``diagnosis.png``; ``mpiexec -n 2`` before it changes nothing but the
time.
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
RANGE = 2.0  # of measurements that fields cover, in standard deviations
FIELDS = GaussianFields(n_fields=5, low=-RANGE, high=RANGE)
HIGHEST = 60.0  # spikes/s of a fibre in the middle of its field
SETTLE, SHOWN, ANSWER = 30.0, 100.0, 200.0  # ms: until answers count, of learning, of the test
HIGHEST_WEIGHT = 0.5  # pA, as much above as below the fixed inhibition
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
        """Return chosen patients."""
        return Patients(self.values[patients], self.classes[patients])


def load(level: float = 0.0, seed: int = 1) -> tuple[Patients, Patients]:
    """Return training and test set with noise: always the same 380 and 189 patients.

    Parameters
    ----------
    level : float
        Standard deviation of the noise, in those of the measurements.
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
        Normalised measurements. What is beyond the fields' range is seen by the outermost.
    """
    edge = FIELDS.centres[-1]
    return HIGHEST * FIELDS.encode(np.clip(values, -edge, edge))


def build(neurons: int = 10, shown: npt.ArrayLike | None = None) -> Network:
    """Return the network.

    Parameters
    ----------
    neurons : int
        Number of neurons that stand for each diagnosis.
    shown : array_like, shape (150,), optional
        Rates of the fibres until they are set, spikes/s; by default those of mean measurements.

    Raises
    ------
    DescriptionError
        If no neuron stands for a diagnosis, or rates are not those of 150 fibres.
    """
    if neurons < 1:
        raise DescriptionError("too few", where="diagnosis, neurons", value=neurons, allowed=">= 1")
    first = rates(np.zeros((1, 30)))[0] if shown is None else np.asarray(shown, np.float64)
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
            PoissonInput(fibres, first, 1.0, name="measurements"),
            ConstantCurrent(diagnoses, 0.0, name="teacher"),
        ],
        dt=DT,
    )


@dataclass(frozen=True, eq=False)
class Learnt:
    """What a network has come to.

    Attributes
    ----------
    weights : ndarray of float64, shape (150, 2 * neurons)
        Plastic weights, pA.
    counts : ndarray of int64, shape (n_patients, 2)
        Spikes of each group for each patient of the test set.
    accuracy : float
        Share of the test set that is told right.
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
) -> Learnt:
    """Teach a network with the training set, and test it. Collective.

    Parameters
    ----------
    training, test : Patients
        Samples; while those of the test set are shown nothing changes.
    neurons : int
        Number of neurons that stand for each diagnosis.
    passes : int
        How often the training set is shown, each time in another order.
    seed : int
        Of the run and the orders.
    **settings
        As of `Simulation`.
    """
    random = np.random.default_rng(seed)
    n = training.classes.size
    fibres = rates(training.values)
    with Simulation(build(neurons), seed=seed, **settings) as simulation:
        for patient in [one for _ in range(passes) for one in random.permutation(n)]:
            simulation["measurements"].set(rate=fibres[patient])
            right = np.repeat(np.arange(2) == training.classes[patient], neurons)
            teach(simulation, np.where(right, TEACHER, -TEACHER))
        counts = [answer(simulation, one) for one in rates(test.values)]
        weights = simulation[PLASTIC].weights.reshape(-1, 2 * neurons)
    accuracy = float((np.argmax(counts, axis=1) == test.classes).mean())
    return Learnt(weights, np.array(counts), accuracy)


def teach(simulation: Simulation, teacher: Floats) -> None:
    """Show one patient: first the neurons answer, then they are taught. Collective.

    Parameters
    ----------
    simulation : Simulation
        Of the network, with the fibres' rates set.
    teacher : ndarray of float64, shape (2 * neurons,)
        Currents that make neurons spike or not, pA.
    """
    for current, signal in ((np.zeros_like(teacher), -1.0), (teacher, 1.0)):
        simulation["teacher"].set(amplitude=current)
        simulation.run(SETTLE)
        simulation[PLASTIC].signal = signal
        simulation.run(SHOWN)
        simulation[PLASTIC].signal = 0.0


def answer(simulation: Simulation, fibres: Floats) -> Ints:
    """Show one patient without a teacher, and return the spikes of each group. Collective.

    Parameters
    ----------
    simulation : Simulation
        Of the network, with the signal 0.
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
    """Return the share of the test set that logistic regression tells right."""
    with extra("examples"):
        from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(max_iter=1000).fit(training.values, training.classes)
    return float(fitted.score(test.values, test.classes))


def compare(levels: Sequence[float], seeds: Sequence[int], **settings: Any) -> Floats:
    """Return accuracies against noise, the network's and logistic regression's. Collective.

    Parameters
    ----------
    levels : sequence of float
        Standard deviations of the noise, in those of the measurements.
    seeds : sequence of int
        Of noise, network and orders.
    **settings
        As of `learn`.

    Returns
    -------
    ndarray of float64, shape (n_levels, n_seeds, 2)
    """
    found = []
    for level in levels:
        for seed in seeds:
            sets = load(level, seed)
            found.append((learn(*sets, seed=seed, **settings).accuracy, logistic(*sets)))
    return np.array(found).reshape(len(levels), len(seeds), 2)


def draw(levels: Sequence[float], accuracies: Floats, path: str) -> None:
    """Draw mean and range over seeds of what `compare` returned for these levels."""
    with extra("analysis"):
        from matplotlib.figure import Figure

    figure = Figure(figsize=(5.0, 3.5), layout="constrained")
    axes = figure.subplots()
    for column, label in enumerate(("spiking network", "logistic regression")):
        some = 100.0 * accuracies[:, :, column]
        mean = some.mean(axis=1)
        spread = np.stack([mean - some.min(axis=1), some.max(axis=1) - mean])
        axes.errorbar(levels, mean, spread, label=label, capsize=3)
    axes.set_xlabel("noise (standard deviations of the measurements)")
    axes.set_ylabel("right on the test set (%)")
    axes.legend()
    figure.savefig(path, dpi=100)


def main() -> None:
    """Print and draw accuracies against the level of noise."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--levels", type=float, nargs="+", default=LEVELS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--picture", default="diagnosis.png")
    chosen = parser.parse_args()
    accuracies = compare(chosen.levels, chosen.seeds)
    if world().rank == 0:
        print("noise   spiking network       logistic regression   (%, mean and range over seeds)")
        for level, row in zip(chosen.levels, 100.0 * accuracies, strict=True):
            texts = (f"{one.mean():.1f} ({one.min():.1f} to {one.max():.1f})" for one in row.T)
            print(f"{level:5.1f}   {'   '.join(texts)}")
        draw(chosen.levels, accuracies, chosen.picture)


if __name__ == "__main__":
    main()
