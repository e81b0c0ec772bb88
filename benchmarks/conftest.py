"""For kernels' benchmarks: times per element, told at the end as pytest-benchmark has no column."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

# the models written as equations are those of the tests
sys.path.append(str(Path(__file__).parents[1] / "tests"))

LINES = pytest.StashKey[list[tuple[str, str, float]]]()


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Let nothing run beside what is timed."""
    config.option.numprocesses = 0


def pytest_configure(config: pytest.Config) -> None:
    """Start with no lines."""
    config.stash[LINES] = []


@pytest.fixture
def measure(
    benchmark, request: pytest.FixtureRequest
) -> Callable[[Callable[[], object], int, str], None]:
    """Return what times a function and notes the time of one of its elements."""

    def timed(function: Callable[[], object], elements: int, element: str) -> None:
        function()  # compiled, and its memory touched
        benchmark(function)
        if benchmark.stats is not None:  # None with --benchmark-disable
            nanoseconds = 1e9 * benchmark.stats.stats.median / elements
            benchmark.extra_info[f"ns per {element}"] = nanoseconds
            name = request.node.name.removeprefix("test_")
            request.config.stash[LINES].append((name, element, nanoseconds))

    return timed


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the times per element."""
    lines = terminalreporter.config.stash[LINES]
    if not lines:
        return
    terminalreporter.section("ns per element (median)")
    width = max(len(name) for name, _, _ in lines)
    for name, element, nanoseconds in lines:
        terminalreporter.write_line(f"{name.ljust(width)} {nanoseconds:8.2f} ns / {element}")
