"""Questions to the tools of boards: JSON to and from a process of a peer's Python."""

import json
import subprocess
from pathlib import Path
from typing import Any


def ask(peer: str, python: str | Path, folder: Path, **request: Any) -> dict[str, Any]:
    """Return what this folder's ``PEER_run.py`` answers; it tells the fields.

    Parameters
    ----------
    peer : str
        ``pacman``, ``sanafe`` or ``nengo_loihi``.
    python : str or Path
        A Python that has it.
    folder : Path
        Where the request and the answer are kept.
    request
        Fields of the request.

    Raises
    ------
    RuntimeError
        If the script fails, with its last words.
    """
    program = Path(__file__).with_name(f"{peer}_run.py")
    files = folder / "request.json", folder / "answer.json"
    files[0].write_text(json.dumps(request))
    command = [str(one) for one in (python, program, *files)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, cwd=folder)
    if done.returncode != 0:
        raise RuntimeError(done.stdout[-1000:] + done.stderr[-2000:])
    answer: dict[str, Any] = json.loads(files[1].read_text())
    return answer
