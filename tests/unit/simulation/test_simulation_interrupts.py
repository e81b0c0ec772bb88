"""Signals: noted while a network runs, acted upon at once while it is built."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from distsnn.deferred_signals import HELD, Note, defer_signals, pending_signal
from distsnn.errors import Stopped
from distsnn.network import Network
from distsnn.simulation import Simulation
from distsnn.simulation import signal_handling as interrupts_module
from distsnn.simulation.signal_handling import SignalHandler


def send(number: int = signal.SIGINT) -> None:
    os.kill(os.getpid(), number)


NUMBERS = [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1]


@pytest.mark.parametrize("number", NUMBERS)
def test_first_signal_is_noted(number: int) -> None:
    interrupts = SignalHandler()
    before = signal.getsignal(number)
    with interrupts.deferred():
        assert not interrupts.number
        send(number)
        assert interrupts.number == number
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("first", NUMBERS)
def test_second_ctrl_c_acts(first: int) -> None:
    with pytest.raises(KeyboardInterrupt), SignalHandler().deferred():
        send(first)
        send(signal.SIGINT)


def test_batch_system_may_repeat_itself() -> None:
    interrupts = SignalHandler()
    with interrupts.deferred():
        send(signal.SIGUSR1)
        send(signal.SIGTERM)
    assert interrupts.number == signal.SIGUSR1


def test_signal_between_runs_waits_for_the_next_one() -> None:
    interrupts = SignalHandler()
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(ValueError, match="of the run"), interrupts.deferred_between_runs():
        send(signal.SIGTERM)
        send(signal.SIGUSR1)
        with interrupts.deferred():
            assert interrupts.number == signal.SIGTERM
            raise ValueError("of the run")
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("number", HELD)
def test_signal_after_the_last_run_reaches_who_else_handles_it(
    number: int, other_handler: list[int]
) -> None:
    interrupts = SignalHandler()
    with interrupts.deferred_between_runs():
        with interrupts.deferred():
            pass
        send(number)
        assert other_handler == []
    assert other_handler == [number]
    # one that has ended the simulation is not sent again
    interrupts.answered = True
    with interrupts.deferred_between_runs():
        send(number)
    assert other_handler == [number]
    # Ctrl-C is the user's: it does not wait
    with pytest.raises(KeyboardInterrupt), SignalHandler().deferred_between_runs():
        send()


@pytest.fixture
def other_handler() -> Iterator[list[int]]:
    """Which signals a handler outside of distsnn got; Ctrl-C interrupts.

    A shell lets what it starts in the background ignore that.
    """
    got: list[int] = []
    before = [
        (number, signal.signal(number, lambda number, _: got.append(number))) for number in HELD
    ]
    before.append((signal.SIGINT, signal.signal(signal.SIGINT, signal.default_int_handler)))
    yield got
    for number, handler in before:
        signal.signal(number, handler)


def test_simulation_acts_upon_a_signal_between_its_runs(
    network: Network, tmp_path: Path, other_handler: list[int]
) -> None:
    out = tmp_path / "run.zarr"
    made = Simulation(network, seed=4, out=out)
    with pytest.raises(Stopped, match="stopped by SIGTERM at") as caught, made as simulation:
        simulation.run(3.0)
        send(signal.SIGTERM)
        simulation.run(1000.0)
    assert (caught.value.store, other_handler) == (str(out), [])
    with Simulation(network, seed=4) as simulation:
        send(signal.SIGTERM)
        with pytest.raises(Stopped):
            simulation.run(1000.0)
        send(signal.SIGTERM)  # as batch systems do
    assert other_handler == []
    resumed = Simulation.restore(out)
    assert 3.0 < resumed.time_ms == caught.value.at_ms < 1000.0
    with resumed:
        send(signal.SIGUSR1)
    assert other_handler == [signal.SIGUSR1]


def test_a_run_that_a_script_changed_is_not_continued_by_the_command(
    network: Network, tmp_path: Path, other_handler: list[int]
) -> None:
    message = "saved, continue with: the script, by Simulation.resume"
    made = Simulation(network, seed=4, out=tmp_path / "run.zarr")
    name = network.populations[0].name
    with pytest.raises(Stopped) as caught, made as simulation:
        simulation.run(3.0)
        simulation[name].state["V_m"] = -60.0
        send(signal.SIGTERM)
        simulation.run(1000.0)
    assert message in str(caught.value) and caught.value.resumable


@pytest.mark.parametrize("number", NUMBERS)
def test_signal_acts_at_once(number: int) -> None:
    interrupts = SignalHandler(12.5, "run.zarr")
    before = signal.getsignal(number)
    expected = KeyboardInterrupt if number == signal.SIGINT else Stopped
    with pytest.raises(expected) as caught, interrupts.immediate():
        send(number)
        raise AssertionError("went on")
    if isinstance(caught.value, Stopped):
        send(number)  # a batch system repeats itself
        assert isinstance(signal.getsignal(number), Note)
        for held_one in HELD:
            signal.signal(held_one, signal.SIG_DFL)
        assert str(caught.value) == (
            f"stopped by {signal.Signals(number).name} at 12.5 ms; "
            "saved, continue with: distsnn run --resume run.zarr"
        )
    else:
        assert str(caught.value) == (
            "interrupted at 12.5 ms; saved, continue with: distsnn run --resume run.zarr"
        )
    assert signal.getsignal(number) is before


def test_second_signal_does_not_interrupt_the_way_out(other_handler: list[int]) -> None:
    cleaned = []
    with pytest.raises(Stopped, match="SIGTERM"), SignalHandler().immediate():
        try:
            send(signal.SIGTERM)
        finally:
            send(signal.SIGTERM)  # as while ranks agree to stop
            send(signal.SIGUSR1)
            cleaned.append(True)
    assert cleaned == [True]


def test_signal_that_comes_while_handlers_change_is_noted() -> None:
    before = {number: signal.getsignal(number) for number in HELD}
    try:
        defer_signals()
        interrupts = SignalHandler()
        change = interrupts_module._set_handler

        def at_the_last_moment(number: int, handler: object) -> object:
            if number == signal.SIGTERM:
                send(number)
            return change(number, handler)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(interrupts_module, "_set_handler", at_the_last_moment)
            noted = interrupts.deferred()
            noted.__enter__()
        assert interrupts.number == signal.SIGTERM
        noted.__exit__(None, None, None)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_compiler_that_fails_after_an_interrupt_was_interrupted() -> None:
    with pytest.raises(KeyboardInterrupt), SignalHandler().immediate():
        try:
            send()
        except KeyboardInterrupt:
            raise RuntimeError("no compiled object yet") from None


def test_interrupt_lost_in_a_destructor_is_raised_at_the_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Lost:
        def __del__(self) -> None:
            send()

    hook = sys.unraisablehook
    with pytest.raises(KeyboardInterrupt), SignalHandler().immediate():
        Lost()  # an exception in __del__ goes to the hook and no further
    assert sys.unraisablehook is hook
    assert capsys.readouterr().err == ""


def test_other_lost_exceptions_are_still_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []
    monkeypatch.setattr(sys, "unraisablehook", lambda lost: shown.append(lost.exc_type))

    class Lost:
        def __del__(self) -> None:
            raise ValueError

    with SignalHandler().immediate():
        Lost()
    assert shown == [ValueError]


def test_error_without_an_interrupt_stays_itself() -> None:
    with pytest.raises(ValueError, match="own"), SignalHandler().immediate():
        raise ValueError("own")


def test_other_threads_have_no_signals() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def body() -> None:
        with SignalHandler().deferred():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert seen == [before]


def test_signal_that_came_before_is_acted_upon(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {number: signal.getsignal(number) for number in HELD}
    try:
        defer_signals()
        assert pending_signal() == 0
        made_before = SignalHandler()
        send(signal.SIGUSR1)
        send(signal.SIGTERM)
        assert pending_signal() == signal.SIGUSR1
        with pytest.raises(Stopped, match="SIGUSR1"), SignalHandler().immediate():
            raise AssertionError("went on")
        # between the build and the run, say
        with made_before.deferred():
            assert made_before.number == signal.SIGUSR1
        # or a with block, which takes over who is told
        held_before = SignalHandler()
        held_before.number, held_before.answered = 0, True
        with held_before.deferred_between_runs(), held_before.deferred():
            assert held_before.number == signal.SIGUSR1
        send(signal.SIGTERM)  # and one that comes later changes nothing
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
