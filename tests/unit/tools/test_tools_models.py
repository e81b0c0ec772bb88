"""MODEL: examples, Python files, runs and stored networks; what goes wrong says where."""

import re
from pathlib import Path

import pytest

from distsnn.errors import DescriptionError
from distsnn.io.network_files import save_network
from distsnn.tools.models import load_model

MODEL = '''
from distsnn.network import IafPscExp, Network, Population


def build(size: int = 20, rate: float = 30000.0, name: str = "E", wide: bool = False):
    """Return neurons."""
    return Network([Population(name, size * (2 if wide else 1), IafPscExp())])
'''


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.py"
    path.write_text(MODEL)
    return path


def wrong(path: Path, text: str, *settings: str) -> str:
    path.write_text(text)
    with pytest.raises(DescriptionError) as caught:
        load_model(str(path), settings)
    return str(caught.value)


def test_file_gives_its_network_and_notes_its_parameters(model: Path) -> None:
    made = load_model(str(model), ["size=5", "wide=yes"])
    assert made.network.n_neurons == 10
    assert made.metadata == {
        "kind": "file",
        "path": str(model),
        "parameters": {"size": 5, "rate": 30000.0, "name": "E", "wide": True},
    }
    assert (made.seed, made.time_ms) == (1, None)


def test_file_imports_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "neighbour_of_model.py").write_text(
        "from distsnn.network import IafPscExp, Network, Population\n"
        "network = Network([Population('E', 3, IafPscExp())])\n"
    )
    path = tmp_path / "model.py"
    path.write_text("import neighbour_of_model\ndef build(): return neighbour_of_model.network\n")
    assert load_model(str(path), []).network.n_neurons == 3


def test_stored_network_is_the_network(model: Path, tmp_path: Path) -> None:
    network = load_model(str(model), []).network
    save_network(tmp_path / "stored", network)
    made = load_model(str(tmp_path / "stored"), [])
    assert made.network == network
    assert made.metadata == {"kind": "network", "path": str(tmp_path / "stored")}
    with pytest.raises(DescriptionError, match=r"settings: .* has no parameters"):
        load_model(str(tmp_path / "stored"), ["size=5"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def build(:\n    pass\n", "model.py, line 1: SyntaxError: invalid syntax"),
        ("\nimport no_such_package\n", "model.py, line 2: the file raised ModuleNotFoundError"),
        ("x = 1\n", "model.py: the file defines no function build; hint: define build"),
        ("build = 3\n", "model.py: the file defines no function build"),
        ("def build():\n    return 3\n", "model.py, line 1: build returns no Network; given 'int'"),
        ("def build():\n    x = 1\n    return x / 0\n", "model.py, line 3: build raised ZeroDiv"),
        (
            "import sys\nsys.exit('enough')\n",
            "model.py, line 2: the file raised SystemExit: enough",
        ),
        ("def build():\n    raise KeyError\n", "model.py, line 2: build raised KeyError"),
        (
            "import json\ndef build():\n    json.loads('{')\n",
            "model.py, line 3: build raised JSONDecodeError",
        ),
        (
            "from distsnn.network import *\ndef build():\n    Population('E', 0, IafPscExp())\n",
            "model.py, line 3: population 'E', field size: out of range; given 0",
        ),
        ("from distsnn.network import Netwrok\n", "model.py, line 1: the file raised ImportError"),
    ],
)
def test_error_in_a_file_is_reported_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    found = wrong(tmp_path / "model.py", text)
    assert re.search(re.escape(message), found)
    assert found.startswith(str(tmp_path))


def test_parameter_that_a_file_does_not_have(tmp_path: Path) -> None:
    found = wrong(tmp_path / "model.py", "\ndef build(scale=1.0):\n    pass\n", "scael=1")
    assert "model.py, line 2: unknown parameter 'scael'" in found
    assert "did you mean 'scale'?" in found


def test_interrupt_of_a_model_stays_one(tmp_path: Path) -> None:
    path = tmp_path / "model.py"
    path.write_text("def build():\n    raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        load_model(str(path), [])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("microcirciut", "no example, file or run has this name.*did you mean 'microcircuit'"),
        ("modle.py", r"no example, file or run has this name.*did you mean 'model\.py'"),
        ("folder", "the folder holds neither a run nor a network"),
        ("notes.txt", "not a Python file"),
    ],
)
def test_path_that_is_not_a_model_is_refused(
    name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").touch()
    (tmp_path / "notes.txt").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(DescriptionError, match=message):
        load_model(name, [])


def test_example_by_name_even_where_a_folder_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "brunel").mkdir()
    made = load_model("brunel", ["order=50"])
    assert made.network.n_neurons == 250
    assert made.metadata["kind"] == "example"
    assert made.metadata["parameters"]["order"] == 50
    with pytest.raises(DescriptionError, match=r"unknown parameter 'ordr'.*did you mean 'order'"):
        load_model("brunel", ["ordr=50"])
    with pytest.raises(DescriptionError, match="neither a run nor a network"):
        load_model("./brunel", [])
