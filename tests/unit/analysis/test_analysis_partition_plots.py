"""Plots of partitions: they show what they were given."""

import numpy as np

from distsnn.analysis.partition_plots import partition_plot

DATA = {
    "strategy": "graph",
    "kind": "expected",
    "imbalance": 0.25,
    "spikes_between_per_s": [[0.0, 5.0], [3.0, 0.0]],
    "min_delay_ms": [[0.1, 0.0], [2.0, 0.1]],
    "cost_ns_per_s": [2e9, 4e9],
    "balanced_cost_ns_per_s": [3e9, 3e9],
}


def test_a_row_for_each_partition_with_one_scale_for_all() -> None:
    louder = DATA | {"strategy": "other", "spikes_between_per_s": [[0.0, 50.0], [3.0, 0.0]]}
    figure = partition_plot([DATA, louder])
    axes = [ax for ax in figure.axes if ax.get_xlabel()]
    assert [ax.get_title(loc="left") for ax in axes] == [
        *("graph, expected", "imbalance 25.0 %", ""),
        *("other, expected", "imbalance 25.0 %", ""),
    ]
    told, load, delay = axes[:3]
    shown = told.images[0].get_array()
    assert shown.tolist() == [[None, 5.0], [3.0, None]]  # a rank tells itself nothing
    assert told.images[0].get_clim() == (0.0, 50.0)
    assert delay.images[0].get_array().tolist() == [[0.1, None], [2.0, 0.1]]
    np.testing.assert_allclose([bar.get_height() for bar in load.patches], [2.0, 4.0])
    figure.canvas.draw()


def test_partition_plot_of_a_single_rank_is_drawn() -> None:
    alone = DATA | {"spikes_between_per_s": [[0.0]], "min_delay_ms": [[0.0]]}
    alone |= {"cost_ns_per_s": [1e9], "balanced_cost_ns_per_s": [1e9]}
    partition_plot([alone]).canvas.draw()
