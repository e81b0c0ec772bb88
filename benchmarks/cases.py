"""The networks that are compared, and the figures that distsnn is to reach on two cores."""

from collections.abc import Mapping
from dataclasses import dataclass, field

RANKS = 2  # of the figures below


@dataclass(frozen=True)
class Peer:
    """How a peer runs a network: its script's name and options.

    Parameters
    ----------
    script : str
        In ``benchmarks/peers``.
    arguments : tuple of str
        Its command line.
    slow : bool
        It takes minutes or more memory than many machines have: run once, and only if asked for.
    """

    script: str
    arguments: tuple[str, ...]
    slow: bool = False


@dataclass(frozen=True)
class Case:
    """A network to compare.

    Parameters
    ----------
    name : str
        Its name here.
    arguments : tuple of str
        Command line of ``distsnn_run.py``.
    peers : mapping of str to Peer
        Peers by name, the fastest first.
    """

    name: str
    arguments: tuple[str, ...]
    peers: Mapping[str, Peer] = field(default_factory=dict)


def _arguments(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _brette(
    synapses: str, neurons: int, *, distsnn_ms: int, brian2_ms: int, nest_ms: int | None = None
) -> Case:
    """Return a benchmark of Brette et al. (2007)."""
    peers = {
        "brian2": Peer(
            "brian2_brette.py",
            _arguments(f"--synapses {synapses} --neurons {neurons} --time {brian2_ms}"),
        )
    }
    if nest_ms is not None:
        arguments = _arguments(f"--neurons {neurons} --time {nest_ms}")
        peers["nest"] = Peer(f"nest_brette_{synapses}.py", arguments)
    return Case(
        f"{synapses}-{neurons // 1000}k",
        _arguments(f"brette_{synapses} --set neurons={neurons} --time {distsnn_ms} --warmup 200"),
        peers,
    )


def _hpc(*, plastic: bool, distsnn_ms: int, nest_ms: int) -> Case:
    """Return NEST's benchmark, with synapses that learn or with none."""
    # as long as the original; weights and rates are near their steady state from the start
    nest = f"--time {nest_ms} --warmup 100" + ("" if plastic else " --static")
    return Case(
        "hpc-plastic" if plastic else "hpc-static",
        _arguments(f"hpc_benchmark --set plastic={plastic} --time {distsnn_ms} --warmup 100"),
        {"nest": Peer("nest_hpc.py", _arguments(nest))},
    )


# A simulator runs for about a second or more; slower ones for a shorter biological time.
CASES = {
    case.name: case
    for case in (
        Case(
            "pd14-0.1",
            _arguments("microcircuit --set scale=0.1 --time 10000 --warmup 500"),
            {"nest": Peer("nest_pd14.py", _arguments("--scale 0.1 --time 1000 --warmup 500"))},
        ),
        Case(
            "pd14-1.0",
            _arguments("microcircuit --time 2000 --warmup 500"),
            {"nest": Peer("nest_pd14.py", _arguments("--scale 1 --time 500 --warmup 100"), True)},
        ),
        Case(
            "brunel",
            _arguments("brunel --set order=2500 --time 5000 --warmup 200"),
            {
                "nest": Peer("nest_brunel.py", _arguments("--order 2500 --time 1000")),
                "brian2": Peer("brian2_brunel.py", _arguments("--order 2500 --time 1000")),
            },
        ),
        _brette("cuba", 40_000, distsnn_ms=5000, brian2_ms=2000, nest_ms=1000),
        _brette("cuba", 4_000, distsnn_ms=20_000, brian2_ms=10_000, nest_ms=5000),
        _brette("coba", 40_000, distsnn_ms=5000, brian2_ms=2000),
        _brette("coba", 4_000, distsnn_ms=20_000, brian2_ms=10_000),
        Case(
            "coba-auryn",
            _arguments("benchmarks/networks/vogels_abbott.py --time 20000 --warmup 200"),
            {"auryn": Peer("auryn_coba.py", _arguments("--ranks 2 --time 20000 --warmup 200"))},
        ),
        Case(
            "izhikevich",
            _arguments("benchmarks/networks/izhikevich.py --time 2000 --warmup 200"),
            {"brian2": Peer("brian2_izhikevich.py", _arguments("--time 1000"))},
        ),
        _hpc(plastic=False, distsnn_ms=2000, nest_ms=500),
        _hpc(plastic=True, distsnn_ms=250, nest_ms=250),
        Case("recording", _arguments("microcircuit --time 2000 --warmup 500")),
    )
}


@dataclass(frozen=True)
class Figure:
    """A figure to reach: on two ranks, all spikes recorded, kernels in the cache.

    Parameters
    ----------
    case : str
        Key of `CASES`.
    quantity : str
        Field of the result.
    must, goal : float
        What it must not exceed, and what it is to come down to; or the other way round.
    label : str
        What it is called in the table.
    scale : float
        The table shows value times scale,
    unit : str
        in this unit.
    more : bool
        More is better.
    """

    case: str
    quantity: str
    must: float
    goal: float
    label: str = "RTF"
    scale: float = 1.0
    unit: str = ""
    more: bool = False

    @property
    def sign(self) -> str:
        """How a value is to lie to what is wanted."""
        return "≥" if self.more else "≤"

    def text(self, value: float) -> str:
        """Return a value as it is shown."""
        return f"{value * self.scale:.3g}{self.unit}"

    def verdict(self, value: float) -> str:
        """Return ``"goal"``, ``"must"`` (that much is reached) or ``"missed"``."""
        turn = -1.0 if self.more else 1.0
        if turn * value <= turn * self.goal:
            return "goal"
        return "must" if turn * value <= turn * self.must else "missed"


FIGURES = (
    Figure("pd14-1.0", "rtf", 1.5, 1.0),
    Figure("pd14-1.0", "build_s", 8.0, 3.0, "build", unit=" s"),
    Figure("pd14-1.0", "peak_rss_bytes", 3e9, 2e9, "peak memory", 1e-9, " GB"),
    Figure("pd14-0.1", "rtf", 0.2, 0.1),
    Figure("cuba-40k", "rtf", 0.35, 0.15),
    Figure("brunel", "rtf", 0.9, 0.4),
    Figure("coba-40k", "rtf", 0.62, 0.35),
    Figure("coba-4k", "rtf", 0.08, 0.052),
    Figure("coba-auryn", "rtf", 0.052, 0.04),
    Figure("izhikevich", "rtf", 1.32, 1.0),
    Figure("hpc-static", "events_per_s", 600e6, 1000e6, "events", 1e-6, " M/s", more=True),
    Figure("hpc-plastic", "events_per_s", 150e6, 250e6, "events", 1e-6, " M/s", more=True),
    Figure("hpc-plastic", "plastic_bytes_per_synapse", 24.0, 12.0, "memory", 1.0, " B"),
    Figure("recording", "overhead", 0.05, 0.01, "all spikes against none", 100.0, " %"),
)
