"""Heartbeats among ranks that are threads: the tree, the setup, and exit reports."""

import math
import socket
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import pytest
import zarr
from thread_ranks import run

from distsnn.comm import Communicator, DryRun, SingleProcess
from distsnn.comm.supervision import heartbeat_peers
from distsnn.comm.supervision.channel import MAX_LINE_BYTES, Channel, introduction
from distsnn.comm.supervision.exit_monitor import write_exit_report
from distsnn.comm.supervision.heartbeat import Heartbeat, check_timeout, start_timeout
from distsnn.comm.supervision.heartbeat_peers import FAN_OUT, PeerListener, children_of, parent_of
from distsnn.errors import DescriptionError

REPORT = {"rank": 3, "host": "h", "pid": 1, "time": "2026", "cause": "ended for an unknown reason"}


@pytest.mark.parametrize("size", [1, 2, FAN_OUT + 1, FAN_OUT + 2, 1000])
def test_ranks_form_one_tree(size: int) -> None:
    edges = [(child, rank) for rank in range(size) for child in children_of(rank, size)]
    assert sorted(child for child, _ in edges) == list(range(1, size))
    assert all(parent_of(child) == rank < child for child, rank in edges)
    assert parent_of(0) is None
    assert max(len(children_of(rank, size)) for rank in range(size)) <= FAN_OUT


@pytest.mark.parametrize("limit", [0.0, -1.0, 0.99, math.nan])
def test_limit_out_of_range_is_refused(limit: float) -> None:
    with pytest.raises(DescriptionError, match=r"heartbeat_timeout: out of range.*at least 1 s"):
        check_timeout(limit)


def test_limits() -> None:
    assert check_timeout(1) == 1.0
    assert check_timeout(math.inf) == math.inf


@pytest.mark.parametrize("ranks", [SingleProcess(), DryRun(1, 3)])
def test_ranks_of_one_process_are_left_alone(ranks: Communicator) -> None:
    threads = threading.active_count()
    with Heartbeat(ranks) as heartbeat:
        assert threading.active_count() == threads
    assert heartbeat.unmonitored_ranks == ()


def test_all_ranks_are_reached_and_leave_in_order() -> None:
    def main(ranks: Communicator) -> tuple[int, ...]:
        with Heartbeat(ranks, 5.0) as heartbeat:
            heartbeat.step = 7
            ranks.barrier()
        heartbeat.stop()  # again does nothing
        return heartbeat.unmonitored_ranks

    results, aborted = run(4, main)
    assert results == [()] * 4
    assert aborted is None
    assert not [thread for thread in threading.enumerate() if "heartbeat" in thread.name]


def test_second_heartbeat_of_the_same_ranks_joins_the_first() -> None:
    def main(ranks: Communicator) -> list[int]:
        counted = []
        with Heartbeat(ranks, 5.0) as job:
            with Heartbeat(ranks, 2.0) as run:
                run.step = 7
                wait_for_timeouts(job, 2.0)
                counted.append(len(watching()))
                ranks.barrier()
            run.stop()
            # the job's limit again
            wait_for_timeouts(job, 5.0)
            counted.append(len(watching()))
            ranks.barrier()
        return counted

    def watching() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name == "distsnn-heartbeat"]

    def wait_for_timeouts(job: Heartbeat, timeout_s: float) -> None:
        limit = time.monotonic() + 5.0
        while {peer.timeout_s for peer in job._peers} != {timeout_s}:
            assert time.monotonic() < limit
            time.sleep(0.01)

    results, aborted = run(3, main)
    assert results == [[3, 3]] * 3
    assert aborted is None
    assert watching() == []


def test_each_rank_states_how_long_it_may_be_silent() -> None:
    """A rank that joins with a shorter limit sends more often; the others need not have joined."""

    def main(ranks: Communicator) -> set[float]:
        with Heartbeat(ranks, 5.0) as job:
            joined = Heartbeat(ranks, 1.0)
            if ranks.rank == 1:
                joined.start()
            end, limits = time.monotonic() + 2.5, set()
            while time.monotonic() < end:
                limits |= {peer.timeout_s for peer in job._peers}
                time.sleep(0.01)
            ranks.barrier()
            joined.stop()
        return limits

    results, aborted = run(3, main)
    assert (results[0] | {5.0}, results[1:]) == ({5.0, 1.0}, [{5.0}, {5.0}])
    assert aborted is None


def test_heartbeat_has_the_time_of_its_message() -> None:
    def main(ranks: Communicator) -> bool:
        with Heartbeat(ranks, 1.0) as heartbeat:
            (peer,) = heartbeat._peers
            end, heard_now = time.monotonic() + 5.0, 0
            while heard_now < 20 and time.monotonic() < end:
                # a message that woke the thread is as old as the clock
                heard_now += 0.0 < peer.last_message_s == heartbeat._clock
                time.sleep(0.01)
            ranks.barrier()
        return heard_now == 20

    assert run(2, main) == ([True, True], None)


@pytest.mark.parametrize(("limit", "start"), [(60.0, 300.0), (1.0, 30.0), (math.inf, math.inf)])
def test_limit_of_the_start_follows_that_of_silence(limit: float, start: float) -> None:
    assert start_timeout(limit) == start


def test_rank_out_of_reach_delays_the_start_and_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    connect = socket.create_connection

    def blocked(address: tuple[str, int], timeout: float) -> socket.socket:
        if threading.current_thread() in victims:
            time.sleep(timeout)
            raise TimeoutError("timed out")
        return connect(address, timeout=timeout)

    victims: list[threading.Thread] = []
    monkeypatch.setattr(heartbeat_peers, "_CONNECT_TIMEOUT_ONE_MACHINE_S", 0.5)
    monkeypatch.setattr(socket, "create_connection", blocked)

    def main(ranks: Communicator) -> tuple[int, ...]:
        if ranks.rank == 2:
            victims.append(threading.current_thread())
        with Heartbeat(ranks, 5.0) as heartbeat:
            ranks.barrier()
        return heartbeat.unmonitored_ranks

    begin = time.monotonic()
    results, _ = run(3, main)
    assert results == [(2,)] * 3
    assert time.monotonic() - begin < 5.0
    (message,) = capsys.readouterr().err.splitlines()
    assert message.startswith("distsnn: heartbeat: no connection to rank 2 on ")


@pytest.mark.parametrize("one_machine", [True, False])
def test_a_busy_parent_is_reached_late(monkeypatch: pytest.MonkeyPatch, one_machine: bool) -> None:
    create, attempts = socket.create_connection, []

    def refused_first(*arguments: Any, **options: Any) -> socket.socket:
        attempts.append(arguments)
        if len(attempts) <= 6:  # more than a host's addresses
            raise ConnectionResetError
        return create(*arguments, **options)

    monkeypatch.setattr(socket, "create_connection", refused_first)
    monkeypatch.setattr(heartbeat_peers, "_ADDRESS_TIMEOUT_S", 0.1)
    listeners = [
        PeerListener(has_children=rank == 0, is_one_machine=one_machine) for rank in range(2)
    ]
    places = [listener.address(rank) for rank, listener in enumerate(listeners)]
    child: list[heartbeat_peers.Peer] = []
    thread = threading.Thread(target=lambda: child.extend(listeners[1].connect(places, 1)))
    thread.start()
    # the parent accepts only now: it was connecting to its own parent
    time.sleep(0.6)
    (accepted,) = listeners[0].connect(places, 0)
    thread.join()
    (connected,) = child
    connected.channel.send({"step": 3})
    limit = time.monotonic() + 5.0
    while not (messages := accepted.channel.receive()):
        assert time.monotonic() < limit
    assert messages == [{"step": 3}]
    for resource in (connected.channel, accepted.channel, *listeners):
        resource.close()


def test_a_parent_that_cannot_be_reached_does_not_cut_off_the_children(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(heartbeat_peers, "_CONNECT_TIMEOUT_ONE_MACHINE_S", 1.5)
    listeners = [
        PeerListener(has_children=has_children, is_one_machine=True)
        for has_children in (True, True, False)
    ]
    root, parent, leaf = (
        listener.address(rank) for listener, rank in zip(listeners, (0, 1, 17), strict=True)
    )
    listeners[0].close()  # no process accepts there
    places = [root, parent, *([root] * 15), leaf]
    leaf_peers: list[heartbeat_peers.Peer] = []
    thread = threading.Thread(target=lambda: leaf_peers.extend(listeners[2].connect(places, 17)))
    thread.start()
    (accepted,) = listeners[1].connect(places, 1)
    thread.join()
    (connected,) = leaf_peers
    assert (connected.address, accepted.address) == (parent, leaf)
    for resource in (connected.channel, accepted.channel, *listeners[1:]):
        resource.close()


@pytest.mark.parametrize("one_machine", [True, False])
def test_foreign_connections_are_refused_without_delay(one_machine: bool) -> None:
    begin = time.monotonic()
    listeners = [
        PeerListener(has_children=rank == 0, is_one_machine=one_machine) for rank in range(2)
    ]
    places = [listener.address(rank) for rank, listener in enumerate(listeners)]
    port = places[0].port
    assert port is not None
    strangers = [socket.create_connection(("127.0.0.1", port)) for _ in range(30)]
    for stranger, line in zip(
        strangers,
        (b"[" * 2000, introduction("guess", 1), b"\n", b"\xff" * 100),  # and silent ones
        strict=False,
    ):
        stranger.sendall(line)
    links: dict[int, list[heartbeat_peers.Peer]] = {}

    def connect(rank: int) -> None:
        links[rank] = listeners[rank].connect(places, rank)

    threads = [threading.Thread(target=connect, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - begin < 3.0
    (accepted,), (connected,) = links[0], links[1]
    assert accepted.address == places[1] and connected.address == places[0]
    connected.channel.send({"step": 3})
    limit = time.monotonic() + 5.0
    while not (messages := accepted.channel.receive()):
        assert time.monotonic() < limit
    assert messages == [{"step": 3}]
    connected.channel.close()
    while accepted.channel.receive() == []:
        assert time.monotonic() < limit
    assert accepted.channel.receive() is None
    accepted.channel.close()
    for resource in (*strangers, *listeners):
        resource.close()


def test_strangers_do_not_switch_the_watching_off(monkeypatch: pytest.MonkeyPatch) -> None:
    strangers: list[socket.socket] = []
    place = PeerListener.address

    def besieged(listener: PeerListener, rank: int) -> heartbeat_peers.RankAddress:
        address = place(listener, rank)
        for line in (*[b""] * 20, b"[" * 2000 + b"\n") if address.port else ():
            strangers.append(socket.create_connection(("127.0.0.1", address.port)))
            strangers[-1].sendall(line)
        return address

    def main(ranks: Communicator) -> tuple[int, ...]:
        with Heartbeat(ranks, 5.0) as heartbeat:
            ranks.barrier()
        return heartbeat.unmonitored_ranks

    monkeypatch.setattr(PeerListener, "address", besieged)
    results, aborted = run(4, main)
    assert (results, aborted, len(strangers)) == ([()] * 4, None, 21)
    for stranger in strangers:
        stranger.close()


def test_ranks_of_one_machine_are_reached_by_loopback_only() -> None:
    for one_machine, hosts in ((True, {"127.0.0.1"}), (False, {"::", "0.0.0.0"})):
        listener = PeerListener(has_children=True, is_one_machine=one_machine)
        assert listener._socket is not None
        assert listener._socket.getsockname()[0] in hosts
        assert not (one_machine and listener.address(0).addresses)
        listener.close()


def test_messages_are_objects_of_bounded_length() -> None:
    def received(*chunks: bytes) -> list[dict[str, Any]] | None:
        receiver, sender = socket.socketpair()
        channel = Channel(receiver)
        with sender:
            for chunk in chunks:
                sender.sendall(chunk)
                messages = channel.receive()
        channel.close()
        return messages

    assert received(b'{"a": 1}\n{"b"') == [{"a": 1}]
    assert received(b'{"a": 1}\n{"b"', b": 2}\n") == [{"b": 2}]
    for wrong in (b"1\n", b"nonsense\n", b"[" * 5000 + b"\n", b"x" * (MAX_LINE_BYTES + 1)):
        assert received(wrong) is None


def test_first_notice_of_a_rank_stays_and_zarr_reads_it(tmp_path: Path) -> None:
    store = tmp_path / "run.zarr"
    zarr.create_group(store).create_group("attempt000")
    folder = store / "attempt000" / "exit_reports"
    assert write_exit_report(folder, REPORT)
    assert not write_exit_report(folder, REPORT | {"cause": "another"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        members = dict(zarr.open_group(store, mode="r").members(max_depth=None))
    assert set(members) == {
        "attempt000",
        "attempt000/exit_reports",
        "attempt000/exit_reports/rank0003",
    }
    assert members["attempt000/exit_reports/rank0003"].attrs.asdict() == REPORT
    assert [file.name for file in folder.rglob("*.partial")] == []


@pytest.mark.parametrize("left", [[], ["run.zarr"]])
def test_a_removed_store_does_not_reappear(tmp_path: Path, left: list[str]) -> None:
    for name in left:
        (tmp_path / name).mkdir()
    with pytest.raises(FileNotFoundError):
        write_exit_report(tmp_path / "run.zarr" / "attempt000" / "exit_reports", REPORT)
    assert [file.name for file in tmp_path.rglob("*")] == left
