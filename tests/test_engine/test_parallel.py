"""Several processes that read, and what becomes of them when one fails."""

import os
import signal

import pytest

from mmspec.parallel import LostWorkerError, in_parallel


def _square(number):
    return number * number


def _refuse(number):
    raise ValueError(f"not {number}")


def _die(number):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("workers", [1, 2])
def test_results_are_in_the_order_of_the_items(workers):
    assert in_parallel(_square, range(40), workers, "") == [i * i for i in range(40)]


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_ends_it_where_a_handler_of_sigterm_is_set(workers):
    """Training sets one, and workers inherit it: they must not have to be ended by that signal."""
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        with pytest.raises(ValueError, match="not 0"):
            in_parallel(_refuse, range(400), workers, "")
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_worker_that_was_killed_is_an_error_not_a_wait():
    with pytest.raises(LostWorkerError, match="Reading: one of 2 processes .*--workers"):
        in_parallel(_die, range(40), 2, "Reading")
