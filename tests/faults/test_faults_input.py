"""What cannot be simulated as described is refused in one message, with exit code 2."""

import re
from pathlib import Path

import pytest
from command_jobs import Ended, run

from distsnn.cli import main

WRONG = Path(__file__).parent / "models" / "wrong.py"

CASES = {
    "population": "unknown population 'exitatory'.*did you mean 'excitatory'",
    "parameter": "unknown parameter 'tau_mem'.*did you mean 'tau_m'",
    "state": "unknown state variable 'V'.*V_m",
    "receptor": "unknown receptor 'exc'.*did you mean 'ex'",
    "nan weight": "field weight: must be finite; given nan",
    "infinite weight": "field weight.*must be finite",
    "infinite parameter": "population 'E', field C_m: must be finite",
    "nan rate": "field rate: must be finite",
    "zero delay": "field delay: out of range; given 0.0; allowed: >= 0.1",
    "negative delay": "field delay: out of range; given -1.5",
    "delay off the grid": "field delay: time is not on the grid; given 1.55",
    "given delays off the grid": "field delay.*not on the grid",
    "negative mean delay": "field delay: the mean must be > 0",
    "indegree": "more synapses than sources without multapses; given 11; allowed: at most 10",
    "empty population": "population 'E', field size: out of range; given 0",
    "empty view": "holds no neuron; given '5:5'",
    "no population": "no population",
    "none": "build returns no Network; given 'NoneType'",
}


@pytest.mark.parametrize("case", CASES)
def test_wrong_network_is_refused_in_one_message(
    case: str, capfd: pytest.CaptureFixture[str]
) -> None:
    code = main(["run", str(WRONG), "--set", f"case={case}", "--time", "10"])
    captured = capfd.readouterr()
    refused(Ended(code, captured.out, captured.err, 0.0), CASES[case])


@pytest.mark.parametrize("how", ["alone", "mpiexec", "own ranks"])
def test_wrong_network_is_refused_once_by_several_ranks(how: str) -> None:
    words = ["run", str(WRONG), "--set", "case=zero delay", "--time", "10"]
    words += ["--ranks", "3"] if how == "own ranks" else []
    refused(run(*words, ranks=2 if how == "mpiexec" else None), CASES["zero delay"])


def refused(ended: Ended, pattern: str) -> None:
    assert ended.code == 2
    assert len(ended.messages) == 1
    assert re.search(pattern, ended.messages[0])
    assert re.search(r"wrong\.py, line \d+", ended.messages[0])
    assert "Traceback" not in ended.err
    assert ended.out == ""
