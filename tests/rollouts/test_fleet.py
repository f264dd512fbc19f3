"""Which server is asked: the freest one that works; one that fails in a row is left alone, longer each time."""

from __future__ import annotations

import random

from limo.rollouts.fleet import IN_A_ROW, LONGEST_S, Fleet


def fleet(n=2):
    return Fleet([f"http://{k}/v1" for k in range(n)], cool_s=1.0, rng=random.Random(0))


def break_(of, server, now):
    for _ in range(IN_A_ROW):
        of.failed(server, now, "status 500")


def test_the_server_with_the_fewest_open_requests_is_asked():
    of = fleet(3)
    for server, n_open in zip(of.servers, (4, 1, 2), strict=True):
        server.n_open = n_open
    assert of.choose(0.0) == (of.servers[1], 0.0)


def test_failures_in_a_row_open_the_circuit_and_a_success_between_them_does_not():
    of = fleet(1)
    for _ in range(3):
        for _ in range(IN_A_ROW - 1):
            of.failed(of.servers[0], 0.0, "reset")
        of.worked(of.servers[0], 0.0)
    assert of.choose(0.0)[0] is of.servers[0]
    break_(of, of.servers[0], 0.0)
    server, wait_s = of.choose(0.0)
    assert server is None and wait_s > 0


def test_the_others_are_asked_while_a_circuit_is_open():
    of = fleet()
    break_(of, of.servers[0], 0.0)
    of.servers[1].n_open = 1000
    assert of.choose(0.0)[0] is of.servers[1]


def test_after_its_time_a_broken_server_gets_one_request_and_all_of_them_when_that_works():
    of = fleet(1)
    (server,) = of.servers
    break_(of, server, 0.0)
    later = server.closed_until_s
    assert of.choose(later)[0] is server
    server.n_open = 1
    assert of.choose(later)[0] is None  # one try at a time
    of.worked(server, later)
    assert of.choose(later)[0] is server


def test_the_time_alone_doubles_and_has_an_end():
    of = fleet(1)
    (server,) = of.servers
    break_(of, server, 0.0)
    waits = [server.closed_until_s]
    for _ in range(12):
        now = server.closed_until_s
        of.failed(server, now, "status 500")
        waits.append(server.closed_until_s - now)
    assert waits[1] > 1.5 * waits[0] and max(waits) <= 1.5 * LONGEST_S


def test_a_busy_server_is_asked_last_and_only_until_its_time_is_over():
    of = fleet()
    of.busy(of.servers[0], 0.0, 5.0, "status 429")
    of.servers[1].n_open = 50
    assert of.choose(4.9)[0] is of.servers[1]
    assert of.choose(5.1)[0] is of.servers[0]
