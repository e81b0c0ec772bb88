"""The peers' benchmark scripts run, at toy size, and report every field (no timing is judged)."""

import json
import subprocess
from pathlib import Path

import pytest

PEERS = Path(__file__).resolve().parents[2] / "benchmarks" / "peers"
FIELDS = {
    "simulator",
    "version",
    "network",
    "neurons",
    "synapses",
    "threads",
    "time_ms",
    "warmup_ms",
    "recording",
    "build_s",
    "run_s",
    "rtf",
    "rates",
    "peak_rss_bytes",
    "others_cpu",
}


def measurement(python: str, script: str, *options: str) -> dict:
    command = [python, str(PEERS / script), *options, "--threads", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    return json.loads(line)


@pytest.mark.parametrize(
    ("script", "options", "neurons", "synapses", "populations"),
    [
        ("nest_brunel.py", ("--order", "20"), 100, 100 * 10, {"E", "I"}),
        ("nest_brette_cuba.py", ("--neurons", "400"), 400, 400 * 80, {"E", "I"}),
        (
            "nest_pd14.py",
            ("--scale", "0.01"),
            771,
            29885,
            {f"L{layer}{kind}" for layer in (23, 4, 5, 6) for kind in "EI"},
        ),
    ],
)
def test_nest_runs_the_benchmark_networks(
    nest_python: str,
    script: str,
    options: tuple[str, ...],
    neurons: int,
    synapses: int,
    populations: set[str],
) -> None:
    found = measurement(nest_python, script, *options, "--time", "50", "--warmup", "20")
    assert set(found) == FIELDS
    assert (found["neurons"], found["synapses"]) == (neurons, synapses)
    assert set(found["rates"]) == populations
    assert found["rtf"] == pytest.approx(found["run_s"] / 0.05, rel=0.05)
    assert found["peak_rss_bytes"] > 2**20


def test_without_recording_only_the_overall_rate_is_known(nest_python: str) -> None:
    options = ("--order", "20", "--time", "50", "--warmup", "0")
    recorded = measurement(nest_python, "nest_brunel.py", *options)
    counted = measurement(nest_python, "nest_brunel.py", *options, "--recording", "none")
    mean = (4 * recorded["rates"]["E"] + recorded["rates"]["I"]) / 5
    assert mean > 0
    assert counted["rates"] == {"all": pytest.approx(mean, rel=1e-3)}
