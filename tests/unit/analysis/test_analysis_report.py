import errno
import os
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest
import zarr
from campaigns import sampled
from synthetic_run import SIZES, metadata, random_spikes, write_rank, write_run

from distsnn.analysis import html_report, open_run, write_report
from distsnn.analysis.html_report import render
from distsnn.errors import StoreError
from distsnn.io.run_writer import RunWriter, create_state_store

EVIL = "<script>alert('x')</script>"
# Elements that do something, or fetch something.
FORBIDDEN = {"script", "iframe", "object", "embed", "link", "form", "base", "img"}


class Page(HTMLParser):
    """Collects what a browser would see: elements, attributes, text, unclosed elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> without a start"
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def check(text: str) -> Page:
    """Parse a page and make sure that it is well-formed, alone and harmless."""
    page = Page(text)
    assert not page.open
    assert not FORBIDDEN & set(page.elements)
    assert not any(name.startswith("on") for name, _ in page.attributes)
    for name, value in page.attributes:
        if name in {"href", "src", "xlink:href"}:
            assert value.startswith(("#", "data:image/png;base64,")), value[:80]
    identifiers = [value for name, value in page.attributes if name == "id"]
    assert len(identifiers) == len(set(identifiers))
    style = text.partition("<style>")[2].partition("</style>")[0]
    assert "prefers-color-scheme: dark" in style
    assert "url(" not in style
    for svg in re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL):
        ET.fromstring(svg)
    return page


def test_the_report_of_a_run(tmp_path):
    written = write_run(
        tmp_path / "run.zarr",
        synapses=298_880_968,
        created="2026-01-01T12:00:00",
        command=["distsnn", "run", "microcircuit"],
        network_source={"name": "microcircuit", "scale": 0.1},
        settings={"delivery": "pull"},
        quanta={
            "errors": [
                {"projection": "E->I", "largest": 0.0012, "share": 0.25, "part": 0.0017},
                {"projection": "I->E", "largest": 1.0, "share": 0.125, "part": 1.5e-5},
            ]
        },
    )
    out = write_report(written.path)
    assert out == tmp_path / "run.html"
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []
    page = check(out.read_text(encoding="utf-8"))
    for words in (
        "complete",
        "100 neurons",
        "298.9 million synapses",
        f"{len(written.step):,} spikes",
        "2 ranks",
        "E iaf_psc_exp 80 80",
        "I iaf_psc_exp 20 20",
        "Rounding of weights",
        "I->E 100 % 12.5 % 0.0015 % E->I 0.12 % 25 % 0.17 %",
        "build (s) update (s) deliver (s) total (s) peak memory",
        "0 0.500 1.000 2.000 4.000 100 MB complete",
        "1 0.500 2.000 2.000 4.000 100 MB complete",
        "network_source: scale 0.1",
        "settings: delivery pull",
        "seed 7",
        "versions: distsnn test",
        "distsnn run microcircuit",
        "V: 40 neurons of E, 2,000 rows",
    ):
        assert words in page.text, words
    run = open_run(written.path)
    rate = float(run.rates("E").mean())
    cv = float(run.cv("E").mean())
    assert re.search(rf"E iaf_psc_exp 80 80 [\d,]+ {rate:.3g} [\d.]+ 0.0% {cv:.3g} ", page.text)
    assert page.elements.count("svg") == 7


@pytest.mark.ci
def test_the_same_run_gives_the_same_page_in_its_own_colours(written):
    text = render(open_run(written.path))
    assert text == render(open_run(written.path))
    assert "currentColor" in text
    assert "#010203" not in text


def test_everything_shown_is_escaped(tmp_path):
    sizes = {EVIL: 80, "a&b\"c'": 20}
    state = {"name": "V", "population": EVIL, "start": 0, "stop": 40}
    written = write_run(
        tmp_path / "r<i>.zarr",
        sizes=sizes,
        created=EVIL,
        command=["distsnn", EVIL],
        network_source={EVIL: EVIL},
        settings={EVIL: [EVIL]},
        versions={EVIL: EVIL},
        recorded_states=[{**state, "variables": ["V_m"], "interval_steps": 10}],
    )
    root = zarr.open_group(written.path, mode="r+")
    root.update_attributes({"network": {EVIL: EVIL}})
    rank = root["attempt000/rank0000"]
    rank.update_attributes({"status": f"failed: {EVIL}", "timing": {"build": 1.0, EVIL: 2.0}})
    root["attempt000/rank0000/state/V/V_m"].attrs["units"] = EVIL
    text = write_report(written.path).read_text(encoding="utf-8")
    page = check(text)
    assert EVIL not in text
    assert page.text.count(EVIL) >= 8


@pytest.mark.ci
def test_reports_of_runs_that_are_not_complete(tmp_path):
    path = RunWriter.create(tmp_path / "r.zarr", metadata(SIZES, 10_000), ({}, {}), 2).path
    page = check(render(open_run(path)))
    assert "not complete" in page.text
    assert "Nothing is recorded yet." in page.text
    assert "not started" in page.text
    spikes = random_spikes(100, 10_000, 5000, seed=2)
    write_rank(path, 0, 0, 2, spikes, start_step=0, last_step=6000, status="failed: disk full")
    write_rank(path, 0, 1, 2, spikes, start_step=0, last_step=5000)
    page = check(render(open_run(path)))
    assert "500 of 1000 ms recorded" in page.text
    assert "failed: disk full" in page.text
    writer = RunWriter.resume(path, 1, start_step=4000, saved_by=0)
    write_rank(path, writer.attempt, 0, 1, spikes, start_step=4000, last_step=10_000)
    page = check(render(open_run(path)))
    assert "2 attempts" in page.text
    assert "1/0 0.500 1.000 2.000 4.000" in page.text


@pytest.mark.ci
def test_report_of_a_run_that_began_from_a_checkpoint(tmp_path):
    meta, nothing = metadata(SIZES, 10_000), ({}, {})
    path = RunWriter.create(tmp_path / "r.zarr", meta, nothing, 1, start_step=6000).path
    assert "Nothing is recorded yet." in check(render(open_run(path))).text
    spikes = random_spikes(100, 10_000, 5000, seed=2)
    write_rank(path, 0, 0, 1, spikes, start_step=6000, last_step=10_000)
    page = check(render(open_run(path)))
    assert "1000 of 1000 ms recorded, from 600 ms on" in page.text


def test_report_of_saved_states_alone(tmp_path):
    create_state_store(tmp_path / "s.zarr", metadata(SIZES, 0), ({}, {}))
    page = check(render(open_run(tmp_path / "s.zarr")))
    assert "Nothing is recorded yet." in page.text


@pytest.mark.parametrize(
    "options",
    sampled(
        [
            {"n_spikes": 0},
            {"target_steps": 20, "n_spikes": 10},
            {"recorded_spikes": []},
            {"sizes": {f"p{i}": 8 for i in range(65)}, "recorded_states": []},
        ],
        2,
    ),
)
def test_reports_of_runs_with_little_or_much_in_them(tmp_path, options):
    page = check(render(open_run(write_run(tmp_path / "r.zarr", **options).path)))
    if options == {"recorded_spikes": []}:
        assert "no spikes were recorded" in page.text
    if "sizes" in options:
        assert "Shown are 12 of 65 populations" in page.text


@pytest.mark.ci
def test_a_long_description_is_cut(tmp_path):
    written = write_run(tmp_path / "r.zarr")
    zarr.open_group(written.path, mode="r+").update_attributes({"network": {"x": "y" * 150_000}})
    text = render(open_run(written.path))
    assert "more characters" in text
    assert len(text) < 1_500_000


def test_a_page_that_cannot_be_written(tmp_path, written, monkeypatch):
    monkeypatch.setattr(html_report, "render", lambda run: "<html>")
    with pytest.raises(StoreError, match="nowhere"):
        write_report(written.path, tmp_path / "nowhere" / "page.html")

    def full(self: Path, *args: object, **kwargs: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(StoreError, match=r"page\.html: cannot be written: No space left"):
        write_report(written.path, tmp_path / "page.html")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("value", "text"),
    [(-1e-6, "0.0000"), (-6e-5, "-0.0001"), (0.12344, "0.1234"), (float("nan"), "–")],
)
def test_numbers_of_four_places(value, text):
    assert html_report._fixed(value) == text
