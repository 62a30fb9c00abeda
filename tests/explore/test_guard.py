"""Who may ask: this machine, or whoever has the token, and no other site."""

from __future__ import annotations

import socket

import pytest

pytest.importorskip("starlette", reason="starlette is not installed; make install-dev brings it")

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from avssl.errors import UserError
from avssl.explore.guard import Guard
from avssl.explore.server import address_of, listen


def page(guard: Guard, host: str = "127.0.0.1") -> TestClient:
    app = Starlette(routes=[Route("/", lambda request: PlainTextResponse("inside"), methods=["GET", "POST"])])
    app.add_middleware(guard.middleware)
    return TestClient(app, base_url=f"http://{host}:8765", follow_redirects=False)


def test_on_this_machine_nobody_needs_a_token():
    assert Guard.of("127.0.0.1").token is None
    for host in ("127.0.0.1", "localhost", "[::1]"):
        assert page(Guard.of("127.0.0.1"), host).get("/").text == "inside"


def test_a_name_of_another_site_that_points_here_is_not_answered():
    assert page(Guard.of("127.0.0.1"), "evil.example").get("/").status_code == 403
    assert page(Guard.of("127.0.0.1"), "127.0.0.1.evil.example").get("/").status_code == 403


def test_another_site_cannot_send_through_a_visitor_s_browser():
    guarded = page(Guard.of("127.0.0.1"))
    assert guarded.post("/").status_code == 403
    assert guarded.post("/", headers={"X-Avssl": "1"}).status_code == 200


def test_others_need_the_token_which_becomes_a_cookie():
    guard = Guard.of("0.0.0.0")
    assert guard.token and len(guard.token) >= 24 and guard.token not in repr(guard)
    guarded = page(guard, "somewhere.example")
    assert guarded.get("/").status_code == 401
    assert guarded.get("/", params={"token": "guess"}).status_code == 401
    answer = guarded.get("/", params={"token": guard.token})
    assert answer.status_code == 303 and "HttpOnly" in answer.headers["set-cookie"]
    assert "token=" not in answer.headers["location"]
    assert guarded.get("/").text == "inside"


def test_a_token_of_one_s_own_is_kept():
    assert Guard.of("127.0.0.1", "mine").token == "mine"
    assert page(Guard.of("127.0.0.1", "mine")).get("/").status_code == 401


def test_a_taken_port_leads_to_the_next_free_one():
    first = listen("127.0.0.1", 0)
    port = first.getsockname()[1]
    second = listen("127.0.0.1", port)
    assert port < second.getsockname()[1] <= port + 20
    assert address_of(second, "t").endswith(f":{second.getsockname()[1]}/?token=t")
    first.close()
    second.close()


def test_addresses_that_are_not_ours_are_refused():
    with pytest.raises(UserError, match="no address"):
        listen("203.0.113.7", 0)
    with pytest.raises(UserError, match="no address that is known"):
        listen("no.such.host.invalid", 0)


def test_a_socket_listens(tmp_path):
    listener = listen("127.0.0.1", 0)
    socket.create_connection(listener.getsockname(), 5).close()
    listener.close()
