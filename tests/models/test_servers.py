"""Which server gets a request: the freest one that works; one that fails in a row is left alone, longer each time."""

from __future__ import annotations

import random

from limo.models.openai.servers import MAX_FAILURES, MAX_WAIT_S, Servers


def fleet(n=2):
    return Servers([f"http://{k}/v1" for k in range(n)], cooldown_s=1.0, rng=random.Random(0))


def hold(server, n, now=0.0):
    return [server.begin(now) for _ in range(n)]


def break_(of, server, now):
    for _ in range(MAX_FAILURES):
        of.failed(server, now, "status 500")


def test_the_server_with_the_fewest_open_requests_gets_the_request():
    of = fleet(3)
    for server, n_open in zip(of.servers, (4, 1, 2), strict=True):
        hold(server, n_open)
    assert of.choose(0.0) == (of.servers[1], 0.0)


def test_a_request_that_failed_goes_to_another_server_unless_that_is_busy():
    of = fleet(3)
    failed, other, third = of.servers
    hold(other, 50)
    hold(third, 60)
    assert of.choose(0.0)[0] is failed
    assert of.choose(0.0, {failed.url})[0] is other
    of.busy(other, 0.0, 5.0, "status 429")
    assert of.choose(1.0, {failed.url})[0] is third
    of.busy(third, 0.0, 5.0, "status 429")
    assert of.choose(1.0, {failed.url})[0] is failed
    assert of.choose(6.0, {server.url for server in of.servers})[0] is failed


def test_failures_in_a_row_open_the_circuit_and_a_success_between_them_does_not():
    of = fleet(1)
    for _ in range(3):
        for _ in range(MAX_FAILURES - 1):
            of.failed(of.servers[0], 0.0, "reset")
        of.succeeded(of.servers[0])
    assert of.choose(0.0)[0] is of.servers[0]
    break_(of, of.servers[0], 0.0)
    server, wait_s = of.choose(0.0)
    assert server is None and wait_s > 0


def test_the_others_get_requests_while_a_circuit_is_open():
    of = fleet()
    break_(of, of.servers[0], 0.0)
    hold(of.servers[1], 1000)
    assert of.choose(0.0)[0] is of.servers[1]


def test_after_its_time_a_broken_server_gets_one_request_and_all_of_them_when_that_works():
    of = fleet(1)
    (server,) = of.servers
    break_(of, server, 0.0)
    later = server.circuit_open_until_s
    assert of.choose(later)[0] is server
    hold(server, 1)
    assert of.choose(later)[0] is None  # one try at a time
    of.succeeded(server)
    assert of.choose(later)[0] is server


def test_the_time_alone_doubles_and_has_an_end():
    of = fleet(1)
    (server,) = of.servers
    break_(of, server, 0.0)
    waits = [server.circuit_open_until_s]
    for _ in range(12):
        now = server.circuit_open_until_s
        of.failed(server, now, "status 500")
        waits.append(server.circuit_open_until_s - now)
    assert waits[1] > 1.5 * waits[0] and max(waits) <= 1.5 * MAX_WAIT_S


def test_a_busy_server_gets_requests_last_and_only_until_its_time_is_over():
    of = fleet()
    of.busy(of.servers[0], 0.0, 5.0, "status 429")
    hold(of.servers[1], 50)
    assert of.choose(4.9)[0] is of.servers[1]
    assert of.choose(5.1)[0] is of.servers[0]


def test_silence_begins_when_the_last_server_breaks_and_ends_when_one_works():
    of = fleet()
    break_(of, of.servers[0], 10.0)
    assert of.silent_s(0.0, 400.0) == 0.0  # nothing is known against the other
    break_(of, of.servers[1], 100.0)
    assert of.silent_s(0.0, 400.0) == 300.0
    assert of.silent_s(350.0, 400.0) == 50.0  # no request was sent before
    of.succeeded(of.servers[0])
    assert of.silent_s(0.0, 400.0) == 0.0


def test_a_server_that_may_still_be_thinking_is_not_silent_whatever_else_fails():
    of = fleet(1)
    (server,) = of.servers
    thinking, connecting = server.begin(0.0), server.begin(995.0)
    break_(of, server, 600.0)
    assert of.silent_s(0.0, 1000.0) == 0.0
    server.end(thinking)
    assert of.silent_s(0.0, 1000.0) == 400.0
    server.end(connecting)
    assert server.n_open == 0


def test_a_few_failures_between_long_thoughts_are_no_silence():
    of = fleet(1)
    (server,) = of.servers
    for now in (600.0, 1200.0, 1800.0, 2400.0):  # a request alone, cut every ten minutes
        number = server.begin(now - 600.0)
        of.failed(server, now, "the connection broke")
        server.end(number)
        assert of.silent_s(0.0, now) == 0.0


def test_silence_begins_with_the_first_failure_of_those_in_a_row():
    of = fleet(1)
    (server,) = of.servers
    for now in (100.0, 101.0, 103.0):
        number = server.begin(now)
        of.failed(server, now, "refused")
        server.end(number)
    assert of.silent_s(0.0, 110.0) == 10.0
    of.busy(server, 110.0, 600.0, "status 429", retry_after_s=600.0)  # the hour begins with the first of these
    assert of.silent_s(0.0, 700.0) == 0.0 and of.silent_s(0.0, 720.0) == 10.0


def test_a_server_that_only_says_that_it_is_busy_is_silent_but_not_while_it_named_a_time():
    of = fleet(1)
    (server,) = of.servers
    of.busy(server, 100.0, 1.0, "status 429")
    of.busy(server, 200.0, 1.0, "status 429")
    assert of.silent_s(0.0, 400.0) == 300.0
    of.busy(server, 400.0, 600.0, "status 429", retry_after_s=600.0)
    assert of.silent_s(0.0, 1000.0) == 0.0
    assert of.silent_s(0.0, 1010.0) == 10.0
    of.busy(server, 3000.0, 3600.0, "status 429", retry_after_s=3600.0)
    assert of.silent_s(0.0, 3800.0) == 100.0  # an hour after it began to be busy the patience begins


def test_no_request_goes_to_servers_before_the_time_that_they_name():
    of = fleet()
    for server, retry_after_s in zip(of.servers, (60.0, 30.0), strict=True):
        of.busy(server, 0.0, retry_after_s, "status 429", retry_after_s)
    assert of.choose(10.0) == (None, 20.0) and not of.has_free(10.0)
    assert of.choose(30.0) == (of.servers[1], 0.0) and of.has_free(30.0)


def test_the_server_that_is_free_first_is_the_one_that_is_waited_for():
    of = fleet()
    assert of.waits_for(0.0) == "http://0/v1"
    of.busy(of.servers[0], 0.0, 1.0, "status 429", 120.0)
    hold(of.servers[1], 2)
    assert of.waits_for(7.0) == "http://1/v1, whose oldest request is open for 7 s"
    break_(of, of.servers[1], 10.0)
    of.servers[1].circuit_open_until_s = 300.0
    assert of.waits_for(20.0) == "http://0/v1, which wants no request for 100 s"
    assert of.waits_for(130.0) == "http://0/v1"
    of.servers[0].circuit_open_until_s = 400.0
    assert of.waits_for(130.0) == "http://1/v1, which fails (status 500)"
