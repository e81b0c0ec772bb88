"""Each pattern of the gallery shows what its name says, in its spike times."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from command_jobs import ROOT

SCRIPT = ROOT / "docs" / "adex_gallery.py"
pytestmark = pytest.mark.skipif(
    not SCRIPT.exists(), reason="the script is in the repository, not in the installed package"
)


@pytest.fixture(scope="module")
def gallery() -> ModuleType:
    for package in ("dask", "matplotlib"):
        pytest.importorskip(package, reason="the gallery needs the extra `analysis`")
    spec = importlib.util.spec_from_file_location("adex_gallery", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def intervals(gallery: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """Return time of the first spike and intervals of each pattern, ms."""
    found = gallery.patterns(str(tmp_path_factory.mktemp("gallery")))
    return {name: (times[0], np.diff(times)) for name, (times, _) in found.items()}


def test_there_are_eight_patterns(intervals: dict) -> None:
    assert len(intervals) == 8


def test_tonic_spiking_is_regular(intervals: dict) -> None:
    _, isi = intervals["tonic spiking"]
    assert isi.size > 30
    assert isi.max() < 1.1 * isi.min()


def test_adaptation_lengthens_intervals_to_a_steady_one(intervals: dict) -> None:
    _, isi = intervals["adaptation"]
    assert np.all(np.diff(isi) > -0.2)
    assert isi[-1] > 4.0 * isi[0]
    assert isi[-1] == pytest.approx(isi[-3], rel=0.02)


def test_an_initial_burst_is_followed_by_single_spikes(intervals: dict) -> None:
    _, isi = intervals["initial burst"]
    short = isi < 10.0
    assert short[:2].all()
    assert not short[2:].any()
    assert isi[3:].max() < 1.05 * isi[3:].min()


def test_regular_bursting_repeats_bursts(intervals: dict) -> None:
    _, isi = intervals["regular bursting"]
    pauses = np.flatnonzero(isi > 50.0)
    assert pauses.size >= 4
    assert np.all(np.diff(pauses) == 2)  # bursts of two spikes
    assert np.all(np.delete(isi, pauses) < 10.0)


def test_delayed_accelerating_spiking_starts_late_and_speeds_up(intervals: dict) -> None:
    first, isi = intervals["delayed accelerating"]
    assert first > 2.0 * intervals["adaptation"][0]
    assert np.all(np.diff(isi) < 0.2)
    assert isi[-1] < 0.6 * isi[0]


def test_delayed_regular_bursting_starts_late_and_repeats_bursts(intervals: dict) -> None:
    first, isi = intervals["delayed regular bursting"]
    assert first > 50.0
    pauses = np.flatnonzero(isi > 50.0)
    assert pauses.size >= 5
    assert np.all(np.diff(pauses) == 4)  # bursts of four spikes
    assert np.all(np.delete(isi, pauses) < 10.0)


def test_transient_spiking_ends(intervals: dict, gallery: ModuleType) -> None:
    first, isi = intervals["transient spiking"]
    assert first + isi.sum() < 0.2 * gallery.TIME


def test_irregular_spiking_is_irregular(intervals: dict) -> None:
    _, isi = intervals["irregular spiking"]
    assert isi.size > 20
    assert isi.std() > 0.4 * isi.mean()
    # neither single spikes nor bursts of one length
    assert np.unique(np.diff(np.flatnonzero(isi > 15.0))).size > 1
    assert ((isi > 8.0) & (isi < 15.0)).sum() > 2


def test_the_script_draws_its_picture(gallery: ModuleType, tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    gallery.draw(str(picture))
    assert picture.read_bytes().startswith(b"\x89PNG")
