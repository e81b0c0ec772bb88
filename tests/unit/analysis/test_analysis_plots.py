import matplotlib
import numpy as np
import pytest
from campaigns import sampled
from matplotlib import pyplot
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from synthetic_run import SIZES, metadata, write_rank, write_run

from distsnn.analysis import open_run, raster, summary
from distsnn.analysis.figure_data import raster_data, summary_data
from distsnn.analysis.figure_style import Style
from distsnn.errors import DescriptionError, StoreError, UsageError
from distsnn.io.run_writer import RunWriter
from distsnn.network import IafPscExp, Population

STRANGE = {"$\\bad{": 8, "_hidden": 8, "<b>&amp;": 8, "名前": 8, "n" * 60: 68}


def pixels(figure: Figure) -> np.ndarray:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())


def test_a_raster_shows_every_spike_of_its_range(run, written):
    data = raster_data(run.select(None, 100, 300))
    inside = (written.step > 1000) & (written.step <= 3000)
    np.testing.assert_allclose(data.time, written.step[inside] * 0.1)
    np.testing.assert_array_equal(data.row, written.gid[inside])
    assert not data.sampled
    np.testing.assert_array_equal(data.edges, [0, 80, 100])


def test_a_large_raster_shows_the_same_fraction_of_each_population(run, written):
    data = raster_data(run.select(), max_neurons=50)
    np.testing.assert_array_equal(data.edges, [0, 40, 50])
    assert data.sampled
    shown = written.gid % 2 == 0  # every second neuron
    np.testing.assert_array_equal(data.row, written.gid[shown] // 2)
    fewer = raster_data(run.select(), max_spikes=500)
    assert 100 < len(fewer.time) <= 600


def test_the_raster_draws_its_dots(run):
    figure = raster(run, "I", 0, 200)
    axes = figure.axes[0]
    assert axes.get_xlim() == (0, 200)
    dots = sum(len(line.get_xdata()) for line in axes.lines)
    assert dots == len(run.spikes("I", 0, 200))
    assert [label.get_text() for label in axes.get_yticklabels()] == ["I"]
    assert len(np.unique(pixels(figure))) > 10


def test_plots_open_the_store_of_a_path(written, tmp_path):
    figure = raster(str(written.path), Population("I", 20, IafPscExp())[:5], 0, 200)
    assert (
        sum(len(line.get_xdata()) for line in figure.axes[0].lines)
        == (np.isin(written.gid, range(80, 85)) & (written.step <= 2000)).sum()
    )
    assert summary(written.path).get_axes()
    with pytest.raises(StoreError, match=r"none\.zarr"):
        raster(tmp_path / "none.zarr")
    with pytest.raises(UsageError, match=r"not a run.*allowed: a Run, or the path of its store"):
        raster(5)


def test_the_raster_shows_the_last_stretch_by_default_and_takes_axes(run):
    figure = Figure()
    axes = figure.add_subplot()
    assert raster(run, ax=axes) is figure
    assert axes.get_xlim() == (1800, 2000)


def test_the_raster_of_an_unknown_population(run):
    with pytest.raises(DescriptionError, match="did you mean"):
        raster(run, "e")


def test_the_summary_has_all_its_parts(run):
    figure = summary(run, style=Style(ink="black", paper="white"))
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    for part in ("Spikes", "Population rates", "Power", "Rate", "CV", "Correlation"):
        assert any(title.startswith(part) for title in titles), part
    assert pixels(figure).std() > 5


@pytest.mark.parametrize("populations", sampled([12, 2, 4, 5, 8, 20], 6))
def test_labels_of_ticks_do_not_overlap(tmp_path, populations):
    sizes = {f"L{i}E": 20 for i in range(populations)}
    run = open_run(write_run(tmp_path / "r.zarr", sizes=sizes, recorded_states=[]).path)
    figure = summary(run)
    pixels(figure)
    boxes = []
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            shown = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
            boxes += [
                tick.label1.get_window_extent()
                for tick in shown
                if tick.label1.get_visible() and tick.label1.get_text()
            ]
    assert len(boxes) > 20
    overlapping = [
        (one, other)
        for index, one in enumerate(boxes)
        for other in boxes[:index]
        if one.overlaps(other)
    ]
    assert not overlapping


def test_the_numbers_of_the_summary(run, written):
    data = summary_data(run)
    np.testing.assert_array_equal(data.counts, np.bincount(written.gid, minlength=100))
    np.testing.assert_allclose(data.cv, run.cv().values)
    own = run.correlations("I", bin_ms=2.0, neurons=range(80, 100)).values
    expected = own[np.triu_indices(20, k=1)]
    np.testing.assert_allclose(np.sort(data.correlations[1]), np.sort(expected), atol=1e-12)


@pytest.mark.ci
def test_no_global_state_of_pyplot(run):
    before = dict(matplotlib.rcParams)
    pixels(summary(run))
    assert pyplot.get_fignums() == []
    assert dict(matplotlib.rcParams) == before


def test_strange_names(tmp_path):
    run = open_run(write_run(tmp_path / "r.zarr", sizes=STRANGE, recorded_states=[]).path)
    figure = summary(run)
    labels = {text.get_text() for axes in figure.axes for text in axes.get_yticklabels()}
    assert {"$\\bad{", "_hidden", "<b>&amp;"} <= labels
    assert "n" * 23 + "…" in labels


@pytest.mark.ci
def test_runs_with_little_in_them(tmp_path):
    for index, options in enumerate(
        ({"n_spikes": 0}, {"target_steps": 20, "n_spikes": 10}, {"sizes": {"E": 1}, "n_spikes": 3})
    ):
        options = {"recorded_states": [], **options}
        run = open_run(write_run(tmp_path / f"{index}.zarr", ranks=1, **options).path)
        pixels(summary(run))


def test_many_populations(tmp_path):
    sizes = {f"area {i}": 8 for i in range(70)}
    path = RunWriter.create(
        tmp_path / "r.zarr", metadata(sizes, 5000, recorded_states=[]), ({}, {}), 1
    ).path
    step = np.arange(1, 5001, dtype=np.int32)
    write_rank(
        path, 0, 0, 1, (step, (step * 7 % 560).astype(np.uint32)), start_step=0, last_step=5000
    )
    run = open_run(path)
    assert raster_data(run.select()).edges[-1] == 560
    pixels(raster(run))
    assert sum(SIZES.values()) < run.reader.n_neurons
