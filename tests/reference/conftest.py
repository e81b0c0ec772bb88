"""The oracles of the reference tests: NEST and boards' tools, in environments of their own."""

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from in_ci import IN_CI
from peers import asking

NEST = Path(__file__).parent / "nest"
RunNest = Callable[..., dict[str, np.ndarray]]
Ask = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def nest_python() -> str:
    """Return the path of a Python that has NEST."""
    python = os.environ.get("DISTSNN_NEST_PYTHON")
    if not python:
        pytest.skip(
            "DISTSNN_NEST_PYTHON is not set to a Python with nest-simulator "
            "(benchmarks/peers/environments.py nest prints one)"
        )
    return python


@pytest.fixture
def run_nest(nest_python: str, tmp_path: Path) -> RunNest:
    """Return ``run_nest(description, **arrays) -> result``; nest/nest_run.py tells the fields.

    ``program`` names another script of that folder, with fields of its own. It raises RuntimeError
    with NEST's last words where the script fails.
    """

    def run(
        description: Mapping[str, Any], *, program: str = "nest_run", **arrays: np.ndarray
    ) -> dict[str, np.ndarray]:
        files = [tmp_path / name for name in ("description.json", "arrays.npz", "result.npz")]
        files[0].write_text(json.dumps(description))
        np.savez(files[1], **arrays)
        done = subprocess.run(
            [nest_python, NEST / f"{program}.py", *files],
            capture_output=True,
            text=True,
            timeout=250,
        )
        if done.returncode != 0:
            raise RuntimeError(done.stdout[-1000:] + done.stderr[-2000:])
        with np.load(files[2]) as result:
            return {name: result[name] for name in result.files}

    return run


@pytest.fixture
def ask_peer(tmp_path: Path) -> Callable[[str], Ask]:
    """Return ``ask_peer(peer) -> ask``; ``ask(**fields)`` has benchmarks/peers/PEER_run.py answer.

    It runs in a process of the Python that ``DISTSNN_<PEER>_PYTHON`` names. Where there is none,
    the test is skipped, but in CI it fails. `ask` raises RuntimeError with the script's last words.
    """

    def peer_of(peer: str) -> Ask:
        variable = f"DISTSNN_{peer.upper()}_PYTHON"
        python = os.environ.get(variable)
        if not python:
            why = f"{variable} is not set (benchmarks/peers/environments.py {peer} prints it)"
            if IN_CI:
                pytest.fail(f"CI must compare with all peers: {why}")
            pytest.skip(why)
        return partial(asking.ask, peer, python, tmp_path)

    return peer_of
