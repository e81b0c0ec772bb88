"""Draws docs/images/adex-gallery.png: eight firing patterns of one neuron model.

    python docs/adex_gallery.py [PICTURE]

needs ``pip install 'distsnn[analysis]'``. Eight neurons of one population, each with parameters of
its own, get a constant current from 0 ms on.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

from distsnn import AeifPscExp, Network, Population, RecordSpikes, RecordState, open_run, simulate

TIME, DT = 600.0, 0.1  # ms
COLUMNS = ("C_m", "g_L", "E_L", "a", "tau_w", "b", "V_reset", "I_e")
# Naud, Marcille, Clopath & Gerstner (2008), table 1; V_th = -50 mV, Delta_T = 2 mV for all
PATTERNS = {
    "tonic spiking": (200.0, 10.0, -70.0, 2.0, 30.0, 0.0, -58.0, 500.0),
    "adaptation": (200.0, 12.0, -70.0, 2.0, 300.0, 60.0, -58.0, 500.0),
    "initial burst": (130.0, 18.0, -58.0, 4.0, 150.0, 120.0, -50.0, 400.0),
    "regular bursting": (200.0, 10.0, -58.0, 2.0, 120.0, 100.0, -46.0, 210.0),
    "delayed accelerating": (200.0, 12.0, -70.0, -10.0, 300.0, 0.0, -58.0, 300.0),
    "delayed regular bursting": (100.0, 10.0, -65.0, -10.0, 90.0, 30.0, -47.0, 110.0),
    "transient spiking": (100.0, 10.0, -65.0, 10.0, 90.0, 100.0, -47.0, 180.0),
    "irregular spiking": (100.0, 12.0, -60.0, -11.0, 130.0, 30.0, -48.0, 160.0),
}


def network() -> Network:
    """Return the eight neurons, their potentials recorded in every step."""
    table = dict(zip(COLUMNS, np.array(list(PATTERNS.values())).T, strict=True))
    neuron = AeifPscExp(**table, V_th=-50.0, Delta_T=2.0, V_peak=0.0, substeps=20)
    cells = Population("adex", len(PATTERNS), neuron, precision="float64")
    return Network([cells], [], [], [RecordSpikes(cells), RecordState(cells, "V_m", interval=DT)])


def patterns(folder: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Simulate; return each pattern's spike times (ms), and potentials in steps of DT (mV)."""
    path = Path(folder) / "adex.zarr"
    simulate(network(), TIME, out=path, progress=False)
    run = open_run(path)
    spikes = run.spikes().compute()
    v = run.state("adex")["V_m"].values
    return {
        name: (spikes["time_ms"][spikes["gid"] == gid].to_numpy(), v[:, gid])
        for gid, name in enumerate(PATTERNS)
    }


def draw(picture: str) -> None:
    """Simulate and draw all patterns."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.0, 9.0), layout="constrained")
    axes = figure.subplots(4, 2, sharex=True, sharey=True)
    with tempfile.TemporaryDirectory() as folder:
        recorded = patterns(folder)
    for ax, (name, (times, v)) in zip(axes.flat, recorded.items(), strict=True):
        ax.plot(DT * np.arange(1, v.size + 1), v, color="#1f4e79", linewidth=0.8)
        # the upstroke is not integrated: draw it up to V_peak
        ax.vlines(times, -45.0, 0.0, color="#1f4e79", linewidth=0.8)
        ax.set_title(name, loc="left", fontsize=10)
        ax.spines[["top", "right"]].set_visible(False)
    for ax in axes[-1]:
        ax.set_xlabel("time (ms)")
    for ax in axes[:, 0]:
        ax.set_ylabel("V_m (mV)")
    figure.savefig(picture, dpi=110)


if __name__ == "__main__":
    default = Path(__file__).parent / "images" / "adex-gallery.png"
    draw(sys.argv[1] if len(sys.argv) > 1 else str(default))
