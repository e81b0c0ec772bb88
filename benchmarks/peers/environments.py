#!/usr/bin/env python3
"""One virtual environment per peer simulator, made on first use and kept in a cache folder.

``python3 benchmarks/peers/environments.py nest`` prints the path of a Python that has NEST. The
peers stay out of distsnn's own environment: NEST and SANA-FE are GPL and run out of process only,
Brian2 and nengo-loihi need an older numpy. Nothing but the standard library is needed here.
"""

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

# What pip installs for each peer; nothing for a program that its script finds on PATH.
REQUIREMENTS = {
    "nest": ("nest-simulator>=3.9",),
    "brian2": ("brian2>=2.9", "numpy<2.4"),
    "auryn": (),
    "pacman": ("SpiNNaker_PACMAN>=7.4",),
    "sanafe": ("sanafe>=2.2",),
    "nengo_loihi": ("nengo-loihi>=1.1", "numpy<2", "setuptools<81"),
}


def default_cache() -> Path:
    """Return the folder of the environments: ``$XDG_CACHE_HOME/distsnn/peers``."""
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "distsnn" / "peers"


def python_of(peer: str, cache: Path | None = None) -> Path:
    """Return the Python of a peer's environment, which is made if it is not there.

    Parameters
    ----------
    peer : str
        A key of `REQUIREMENTS`.
    cache : Path, optional
        Folder of the environments; by default `default_cache`.

    Returns
    -------
    Path
        An interpreter of this one's version that can import the peer; this one, if there is
        nothing to import.

    Raises
    ------
    KeyError
        If the peer is unknown.
    subprocess.CalledProcessError
        If its packages cannot be installed.
    """
    requirements = REQUIREMENTS[peer]
    if not requirements:
        return Path(sys.executable)
    identity = repr((sys.version_info[:2], sys.base_prefix, requirements))
    name = f"{peer}-{hashlib.sha256(identity.encode()).hexdigest()[:8]}"
    folder = (cache or default_cache()).resolve() / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    python, complete = folder / "bin" / "python", folder / "complete"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two that ask at once: the second waits
        if not complete.exists():
            if folder.exists():
                shutil.rmtree(folder)  # an interrupted installation
            # stdout is left for the answer.
            run = [sys.executable, "-m", "venv", str(folder)]
            subprocess.run(run, check=True, stdout=sys.stderr)
            run = [str(python), "-m", "pip", "install", "--quiet", *requirements]
            subprocess.run(run, check=True, stdout=sys.stderr)
            complete.touch()
    return python


def main() -> None:
    """Print the Python of the peer named on the command line."""
    parser = argparse.ArgumentParser(description="Print a Python that has a peer simulator.")
    parser.add_argument("peer", choices=sorted(REQUIREMENTS))
    parser.add_argument("--cache", type=Path, help=f"default: {default_cache()}")
    arguments = parser.parse_args()
    print(python_of(arguments.peer, arguments.cache))


if __name__ == "__main__":
    main()
