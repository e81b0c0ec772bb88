"""Diagnosis from noisy measurements: population-coded values, a spiking layer, a linear readout.

Wolberg, Street & Mangasarian's breast-cancer data (569 patients, 30 measurements each), which
scikit-learn ships. Noise is added to all measurements, in training and in use. Each is coded by
neurons with overlapping Gaussian fields (Bohte, Kok & La Poutre 2002, Neurocomputing 48:17), whose
Poisson spikes drive a layer with random synapses; a linear readout of the layer's spike counts says
benign or malignant.

``python -m distsnn.examples.diagnosis`` prints accuracies on the test set against the level of
noise, beside those of logistic regression on the same noisy measurements, and draws
``diagnosis.png``.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from distsnn.coding import (
    GaussianFields,
    LinearReadout,
    MinMax,
    PoissonRate,
    Presentation,
    SampleSpikes,
    ZScore,
    spike_counts,
)
from distsnn.network import (
    FixedIndegree,
    IafPscExp,
    Network,
    Normal,
    ParrotNeuron,
    Population,
    Projection,
    RecordSpikes,
    SpikeInput,
)
from distsnn.simulation import simulate

Floats = npt.NDArray[np.float64]

DT = 0.5  # ms
PATIENTS, TRAINING = 569, 380
FIELDS = GaussianFields(n_fields=5)
SEQUENCE = Presentation(dt=DT, n_samples=PATIENTS, duration=100.0, rest=40.0)
LEVELS = (0.0, 0.5, 1.0, 2.0, 4.0)


def build(neurons: int = 400, spikes: SampleSpikes | None = None) -> Network:
    """Return the network.

    Parameters
    ----------
    neurons : int
        Number of neurons of the layer.
    spikes : SampleSpikes, optional
        Of the coded measurements of all patients, 150 channels; none by default.
    """
    if spikes is None:
        silent = np.empty(0, np.int64)
        steps = round(SEQUENCE.duration / DT)
        spikes = SampleSpikes(silent, silent, silent, (PATIENTS, 150), steps, DT)
    fibres = Population("fibres", spikes.shape[1], ParrotNeuron())
    layer = Population("layer", neurons, IafPscExp())
    return Network(
        [fibres, layer],
        [Projection(fibres, layer, FixedIndegree(10), weight=Normal(150.0, 100.0), delay=1.0)],
        [SpikeInput(fibres, *SEQUENCE.events(spikes), weight=1.0)],
        [RecordSpikes(layer)],
        dt=DT,
    )


def measured(level: float, seed: int) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Return noisy measurements and classes of all patients, those of the training set first.

    Parameters
    ----------
    level : float
        Standard deviation of the noise, in those of the measurements.
    seed : int
        Seed of the noise. Who is in the training set does not depend on it.
    """
    from sklearn.datasets import load_breast_cancer  # the extra `examples`

    values, classes = load_breast_cancer(return_X_y=True)
    order = np.random.default_rng(0).permutation(PATIENTS)
    clean = ZScore.fit(values[order][:TRAINING]).apply(values[order])
    noise = np.random.default_rng(seed).normal(size=values.shape)
    return clean + level * noise, classes[order].astype(np.int64)


def diagnose(level: float, seed: int = 1, *, neurons: int = 400) -> tuple[float, float]:
    """Train on noisy measurements, and test on those of other patients.

    Parameters
    ----------
    level : float
        Standard deviation of the noise, in those of the measurements.
    seed : int
        Seed of the noise, the network and its input.
    neurons : int
        Number of neurons of the layer.

    Returns
    -------
    spiking, logistic : float
        Shares of the test set that the network and logistic regression tell right.
    """
    from sklearn.linear_model import LogisticRegression

    values, classes = measured(level, seed)
    training, test = slice(0, TRAINING), slice(TRAINING, PATIENTS)
    regression = LogisticRegression(max_iter=1000).fit(values[training], classes[training])
    logistic = regression.score(values[test], classes[test])

    shares = np.clip(MinMax.fit(values[training]).apply(values), 0.0, 1.0)
    rate = PoissonRate(dt=DT, duration=SEQUENCE.duration, high=200.0, seed=seed)
    network = build(neurons, rate.encode(FIELDS.encode(shares)))
    counts = spike_counts(_responses(network, seed))
    readout = LinearReadout.fit(counts[training], np.eye(2)[classes[training]], ridge=3e3)
    right = readout.predict(counts[test]).argmax(axis=1) == classes[test]
    return float(right.mean()), float(logistic)


def _responses(network: Network, seed: int) -> SampleSpikes:
    from distsnn.analysis import open_run

    fibres, layer = network.populations
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "diagnosis.zarr"
        simulate(network, SEQUENCE.stop, out=out, seed=seed, progress=False)
        found = open_run(out).spikes("layer").compute()  # type: ignore[no-untyped-call]
    return SEQUENCE.cut(found["time_ms"], found["gid"] - fibres.size, layer.size)


def main() -> None:
    """Print and draw accuracies against the level of noise."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--picture", default="diagnosis.png")
    chosen = parser.parse_args()
    print("noise   spiking   logistic regression   (mean and range over seeds)")
    table = np.empty((len(LEVELS), len(chosen.seeds), 2))
    for row, level in zip(table, LEVELS, strict=True):
        for cell, seed in zip(row, chosen.seeds, strict=True):
            cell[:] = diagnose(level, seed)
        texts = (f"{one.mean():.3f} ({one.min():.3f}-{one.max():.3f})" for one in row.T)
        print(f"{level:5.1f}   {'   '.join(texts)}", flush=True)

    from matplotlib.figure import Figure

    figure = Figure(layout="constrained")
    axes = figure.subplots()
    for column, label in enumerate(("spiking network", "logistic regression")):
        some = table[:, :, column]
        spread = np.abs(np.stack([some.min(axis=1), some.max(axis=1)]) - some.mean(axis=1))
        axes.errorbar(LEVELS, some.mean(axis=1), spread, label=label, capsize=3)
    axes.set_xlabel("noise (standard deviations of the measurements)")
    axes.set_ylabel("accuracy on the test set")
    axes.legend()
    figure.savefig(chosen.picture, dpi=150)


if __name__ == "__main__":
    main()
