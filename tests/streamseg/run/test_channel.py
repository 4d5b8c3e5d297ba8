"""The hand-over between two threads: bounded, in order, and nobody waits for ever."""

from __future__ import annotations

import threading

import pytest

from streamseg.run.channel import Aborted, Channel

WAIT = 10.0


def in_thread(work: object) -> threading.Thread:
    assert callable(work)
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_items_come_out_in_order_and_then_the_end() -> None:
    channel: Channel[int] = Channel(5)
    for item in range(5):
        channel.put(item)
    channel.close()
    assert list(channel) == [0, 1, 2, 3, 4]
    assert channel.get_batch(3) == []


def test_a_channel_without_room_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="at least 1, got 0"):
        Channel(0)


def test_a_full_channel_makes_the_producer_wait() -> None:
    channel: Channel[int] = Channel(2)
    channel.put(0)
    channel.put(1)
    producer = in_thread(lambda: channel.put(2))
    producer.join(0.05)
    assert producer.is_alive()
    assert channel.get_batch(1) == [0]
    producer.join(WAIT)
    assert not producer.is_alive()
    assert channel.get_batch(2) == [1, 2]


def test_a_batch_may_be_larger_than_the_channel() -> None:
    channel: Channel[int] = Channel(1)

    def produce() -> None:
        for item in range(7):
            channel.put(item)
        channel.close()

    in_thread(produce)
    assert channel.get_batch(5) == [0, 1, 2, 3, 4]
    assert channel.get_batch(5) == [5, 6], "the last batch is partial"
    assert channel.get_batch(5) == []


def test_a_live_batch_takes_what_is_there() -> None:
    channel: Channel[int] = Channel(5)
    channel.put(0)
    channel.put(1)
    assert channel.get_batch(4, wait_for_all=False) == [0, 1]


def test_what_was_put_is_delivered_or_handed_back() -> None:
    channel: Channel[int] = Channel(3, drop_oldest=True)
    gone = [channel.put(item) for item in range(10)]
    channel.close()
    assert list(channel) == [7, 8, 9], "the freshest stay"
    assert gone == [None, None, None, 0, 1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("end", ["close", "abort"])
def test_nobody_puts_into_an_ended_channel(end: str) -> None:
    channel: Channel[int] = Channel(2, drop_oldest=True)
    getattr(channel, end)()
    with pytest.raises(Aborted):
        channel.put(1)


@pytest.mark.parametrize("end", ["close", "abort"])
def test_an_end_wakes_a_waiting_producer(end: str) -> None:
    channel: Channel[int] = Channel(1)
    channel.put(0)
    woken = threading.Event()

    def produce() -> None:
        with pytest.raises(Aborted):
            channel.put(1)
        woken.set()

    producer = in_thread(produce)
    producer.join(0.05)
    getattr(channel, end)()
    assert woken.wait(WAIT)


def test_abort_wakes_a_waiting_consumer_and_drops_everything() -> None:
    channel: Channel[int] = Channel(2)
    woken = threading.Event()

    def consume() -> None:
        with pytest.raises(Aborted):
            channel.get_batch(2)
        woken.set()

    channel.put(0)
    in_thread(consume).join(0.05)
    channel.abort()
    assert woken.wait(WAIT)
    with pytest.raises(Aborted):
        channel.get_batch(1)
