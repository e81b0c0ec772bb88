"""Reports say what they can and name what they cannot; exports say the same as the mapping."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from networks.slices import all_to_all, of_matrix, sparse

from distsnn.analysis.board_plots import chip_map, link_map
from distsnn.errors import DescriptionError, UsageError
from distsnn.partition.boards.board import load_board
from distsnn.partition.boards.export import (
    pacman_placements,
    pacman_tables,
    sanafe_mappings,
    save_data,
    to_json_data,
)
from distsnn.partition.boards.mapping import BoardMapping, map_graph
from distsnn.partition.boards.report import (
    hops_bound,
    mapping_report,
    max_latency,
    rate_weighted_hops,
)


@pytest.fixture(scope="module")
def spin5() -> BoardMapping:
    return map_graph(sparse(60, 8), load_board("spin5"), trials=5000)


@pytest.fixture(scope="module")
def loihi() -> BoardMapping:
    ring = np.roll(np.eye(20), 1, axis=1) + np.roll(np.eye(20), 7, axis=1)
    return map_graph(of_matrix(50.0 * ring, rate=2.0), load_board("loihi"), trials=5000)


def test_report_of_spinnaker(spin5: BoardMapping) -> None:
    said = mapping_report(spin5)
    assert (said["slices"], said["cores"], said["neurons"]) == (60, 60, 60 * 256)
    assert said["chips"] == np.unique(spin5.node_of_slice).size
    entries = said["table_entries"]
    assert entries["compressed"] <= entries["without_default"] <= entries["uncompressed"]
    assert said["packets_per_s"] == 60 * 256 * 5.0
    assert said["lower_bound_hops"] <= said["rate_weighted_hops"]
    assert said["link_crossings_per_s"] <= said["rate_weighted_hops"]
    power = said["power_W"]
    assert power["idle_chip"] == pytest.approx(0.35 * said["chips"])
    assert power["active_core"] == pytest.approx(0.034 * 60)
    crossed = said["packets_per_s"] + said["link_crossings_per_s"]
    assert power["packet_out"] + power["hop_x"] + power["hop_y"] == pytest.approx(1e-9 * crossed)
    assert power["total"] == pytest.approx(sum(power[one] for one in power if one != "total"))
    # bandwidth and latency are not among the figures
    assert (said["latency_s"], said["max_link_use"]) == (None, None)
    assert "links.latency" in said["unknown"]["latency_s"]
    with pytest.raises(DescriptionError, match=r"links\.latency"):
        max_latency(spin5)
    json.dumps(said)


def test_report_of_loihi(loihi: BoardMapping) -> None:
    said = mapping_report(loihi, dt=0.5)
    # five cores of four slices on two tiles or more of one chip
    assert (said["cores"], said["chips"]) == (5, 1)
    assert said["packets_per_s"] == pytest.approx(
        20 * 512.0 * np.diff(loihi.core_targets.start).mean()
    )
    power = said["power_W"]
    assert power["synaptic_event"] == pytest.approx(20 * 2 * 50.0 * 2.0 * 35.5e-12)
    assert power["neuron_update"] == pytest.approx(20 * 256 * 2000 * 72.8e-12)
    assert power["neuron_spike"] == pytest.approx(20 * 512.0 * 69.3e-12)
    assert (power["idle_chip"], power["total"]) == (None, None)
    assert said["unknown_limits"] == ["core.fan_in", "core.fan_out"]
    assert "power_W.neuron_update" in mapping_report(loihi)["unknown"]


def test_a_known_latency_is_the_farthest_hops(spin5: BoardMapping) -> None:
    links = spin5.board.links
    board = replace(
        spin5.board,
        links=replace(
            links,
            latency=replace(links.latency, value=2e-7),
            bandwidth=replace(links.bandwidth, value=1e6),
        ),
    )
    said = mapping_report(replace(spin5, board=board))
    assert said["latency_s"] in [pytest.approx(n * 2e-7) for n in range(1, 8)]
    assert said["max_link_use"] == pytest.approx(said["max_link_load"] / 1e6)


def test_the_bound_is_reached_where_all_fits_one_chip_and_for_a_star() -> None:
    one = map_graph(all_to_all(16), load_board("spin5"), trials=0)
    assert hops_bound(one) == rate_weighted_hops(one) == 0.0
    star = np.zeros((40, 40))
    star[0, 1:] = 1.0
    many = map_graph(of_matrix(star), load_board("spin5"), trials=100_000)
    # 39 targets and the source fill three chips: two hops of 256 neurons at 5 spikes/s
    assert hops_bound(many) == 2 * 256 * 5.0
    assert rate_weighted_hops(many) == hops_bound(many)


def test_data_holds_all_of_the_mapping(spin5: BoardMapping, tmp_path: Path) -> None:
    names = [f"P{one}" for one in range(60)]
    save_data(to_json_data(spin5, names), tmp_path / "mapping.json")
    data = json.loads((tmp_path / "mapping.json").read_text())
    assert data == json.loads(json.dumps(to_json_data(spin5, names)))
    assert [one["population"] for one in data["slices"]] == names
    assert sum(one["packets_per_s"] for one in data["links"]) == pytest.approx(
        spin5.link_load.sum()
    )
    assert sum(len(one["entries"]) for one in data["tables"]) == spin5.tables.sizes.sum()
    assert len(data["nodes"]) == 48
    with pytest.raises(UsageError, match="cannot be written"):
        save_data(data, tmp_path / "none" / "mapping.json")


def test_pacmans_words_hold_links_and_cores(spin5: BoardMapping) -> None:
    data = to_json_data(spin5)
    for ours, theirs in zip(data["tables"], pacman_tables(spin5), strict=True):
        assert (ours["x"], ours["y"]) == (theirs["x"], theirs["y"])
        for one, other in zip(ours["entries"], theirs["entries"], strict=True):
            links = [list(data["ports"]).index(port) for port in one["ports"]]
            word = sum(1 << link for link in links) + sum(1 << 6 + core for core in one["cores"])
            assert (other["key"], other["mask"]) == (one["key"], one["mask"])
            assert other["spinnaker_route"] == word
    at = pacman_placements(spin5)[7]
    assert [at["x"], at["y"], at["p"]] == [data["slices"][7][one] for one in ("x", "y", "core")]
    plain = pacman_tables(spin5, compressed=False)
    default = sum(one["defaultable"] for table in plain for one in table["entries"])
    assert default == spin5.routes.is_default_routed(spin5.machine).sum()


def test_only_spinnaker_has_pacmans_tables(loihi: BoardMapping) -> None:
    with pytest.raises(DescriptionError, match="no routing tables"):
        pacman_tables(loihi)
    assert to_json_data(loihi)["tables"] is None


def test_plots_show_chips_and_links(spin5: BoardMapping, loihi: BoardMapping) -> None:
    for mapping in (spin5, loihi):
        data = to_json_data(mapping)
        texts = [one.get_text() for one in chip_map(data).axes[0].texts]
        assert sum(map(int, texts)) == mapping.core_targets.n_cores
        (lines,) = [one for one in link_map(data).axes[0].collections if len(one.get_paths()) > 1]
        assert sorted(lines.get_array()) == sorted(one["packets_per_s"] for one in data["links"])


def test_sanafes_mapping_names_slices_and_tiles(spin5: BoardMapping, loihi: BoardMapping) -> None:
    made = sanafe_mappings(loihi, [f"P{one}" for one in range(20)])
    places = to_json_data(loihi)["slices"]
    for one, (line, at) in enumerate(zip(made, places, strict=True)):
        # tiles are counted along y first, four in a column
        core = f"{4 * at['x'] + at['y']}.{at['core']}"
        assert line == {f"P{one}.0..255": [{"core": core}]}
    with pytest.raises(DescriptionError, match="copy packets"):
        sanafe_mappings(spin5, [])
    two = map_graph(loihi.graph, loihi.board.tiled(2, 1), trials=100)
    with pytest.raises(DescriptionError, match=r"has one chip.*2x1 boards.*allowed: 1x1"):
        sanafe_mappings(two, [])
