"""Signals: noted while a network runs, acted upon at once while it is built."""

import os
import signal
import sys
import threading

import pytest

from distsnn.errors import Stopped
from distsnn.held_signals import HELD, held, hold
from distsnn.simulation.interrupts import Interrupts


def send(number: int = signal.SIGINT) -> None:
    os.kill(os.getpid(), number)


NUMBERS = [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1]


@pytest.mark.parametrize("number", NUMBERS)
def test_first_signal_is_noted(number: int) -> None:
    interrupts = Interrupts()
    before = signal.getsignal(number)
    with interrupts.noted():
        assert not interrupts.number
        send(number)
        assert interrupts.number == number
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("first", NUMBERS)
def test_second_ctrl_c_acts(first: int) -> None:
    with pytest.raises(KeyboardInterrupt), Interrupts().noted():
        send(first)
        send(signal.SIGINT)


def test_batch_system_may_repeat_itself() -> None:
    interrupts = Interrupts()
    with interrupts.noted():
        send(signal.SIGUSR1)
        send(signal.SIGTERM)
    assert interrupts.number == signal.SIGUSR1


@pytest.mark.parametrize("number", NUMBERS)
def test_signal_acts_at_once(number: int) -> None:
    interrupts = Interrupts(12.5, "run.zarr")
    before = signal.getsignal(number)
    expected = KeyboardInterrupt if number == signal.SIGINT else Stopped
    with pytest.raises(expected) as caught, interrupts.acting():
        send(number)
        raise AssertionError("went on")
    assert signal.getsignal(number) is before
    if isinstance(caught.value, Stopped):
        assert str(caught.value) == (
            f"stopped by {signal.Signals(number).name} at 12.5 ms; "
            "saved, go on with: distsnn run --resume run.zarr"
        )


def test_compiler_that_fails_after_an_interrupt_was_interrupted() -> None:
    with pytest.raises(KeyboardInterrupt), Interrupts().acting():
        try:
            send()
        except KeyboardInterrupt:
            raise RuntimeError("no compiled object yet") from None


def test_interrupt_that_was_lost_comes_in_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    class Lost:
        def __del__(self) -> None:
            send()

    hook = sys.unraisablehook
    with pytest.raises(KeyboardInterrupt), Interrupts().acting():
        Lost()  # an exception in __del__ goes to the hook and no further
    assert sys.unraisablehook is hook
    assert capsys.readouterr().err == ""


def test_other_lost_exceptions_are_still_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []
    monkeypatch.setattr(sys, "unraisablehook", lambda lost: shown.append(lost.exc_type))

    class Lost:
        def __del__(self) -> None:
            raise ValueError

    with Interrupts().acting():
        Lost()
    assert shown == [ValueError]


def test_error_without_an_interrupt_stays_itself() -> None:
    with pytest.raises(ValueError, match="own"), Interrupts().acting():
        raise ValueError("own")


def test_other_threads_have_no_signals() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def body() -> None:
        with Interrupts().noted():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert seen == [before]


def test_signal_that_came_before_is_acted_upon(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {number: signal.getsignal(number) for number in HELD}
    try:
        hold()
        assert held() == 0
        made_before = Interrupts()
        send(signal.SIGUSR1)
        send(signal.SIGTERM)
        assert held() == signal.SIGUSR1
        with pytest.raises(Stopped, match="SIGUSR1"), Interrupts().acting():
            raise AssertionError("went on")
        # between the build and the run, say
        with made_before.noted():
            assert made_before.number == signal.SIGUSR1
        send(signal.SIGTERM)  # and one that comes later changes nothing
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
