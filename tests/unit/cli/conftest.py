"""What the tests of the command line share: a model file, and the command in this process."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from distsnn.cli import main

MODEL = '''
from distsnn.network import IafPscExp, Network, PoissonInput, Population


def build(size: int = 20, rate: float = 30000.0, name: str = "E", wide: bool = False):
    """Return neurons that get Poisson input."""
    cells = Population(name, size * (2 if wide else 1), IafPscExp())
    return Network([cells], [], [PoissonInput(cells, rate, 40.0)])
'''


@dataclass(frozen=True)
class Done:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def message(self) -> str:
        """The one message of a command that was refused."""
        (line,) = self.err.splitlines()
        return line


@pytest.fixture
def distsnn(capfd: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Return a function that runs ``distsnn ARGUMENTS`` in this process."""

    def run(*arguments: object) -> Done:
        code = main([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        return Done(code, captured.out, captured.err)

    return run


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.py"
    path.write_text(MODEL)
    return path
