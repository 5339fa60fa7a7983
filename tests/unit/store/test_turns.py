"""The fair lock."""

import threading
import time

import pytest

from heedful.store.turns import Turns


def test_turns_come_in_the_order_of_asking() -> None:
    turns, order, threads = Turns(), [], []

    def take(number: int) -> None:
        with turns.turn(10):
            order.append(number)
            time.sleep(0.002)

    with turns.turn(1):
        for number in range(20):
            threads.append(threading.Thread(target=take, args=(number,)))
            threads[-1].start()
            while len(turns._waiting) <= number:
                time.sleep(0.001)
    for thread in threads:
        thread.join()
    assert order == list(range(20))


def test_one_at_a_time() -> None:
    turns, inside, most = Turns(), [], []

    def take() -> None:
        for _ in range(200):
            with turns.turn(10):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 1600
    assert set(most) == {1}


def test_a_turn_that_does_not_come() -> None:
    turns, told, free = Turns(), [], threading.Event()

    def hold() -> None:
        with turns.turn(1):
            told.append(1)
            free.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    while not told:
        time.sleep(0.001)
    with pytest.raises(TimeoutError, match=r"0\.05 seconds"), turns.turn(0.05):
        pass
    free.set()
    holder.join()
    with turns.turn(0.05):  # the one who gave up does not stand in the queue any more
        pass


def test_a_turn_within_a_turn_says_so() -> None:
    turns = Turns()
    with turns.turn(1), pytest.raises(RuntimeError, match="inside a write"), turns.turn(1):
        pass
    with turns.turn(1):
        pass
