"""Who may ask: this machine, or whoever has the token, and no other site."""

from __future__ import annotations

import errno
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


@pytest.mark.parametrize("token", ['a b&c=d;"e', "日本 ü", "%2e#?"])
def test_a_token_may_be_any_text(token):
    listener = listen("127.0.0.1", 0)
    address = address_of(listener, token)
    listener.close()
    guarded = page(Guard.of("127.0.0.1", token))
    assert guarded.get(address.partition("/?")[2].join(["/?", ""])).status_code == 303
    assert guarded.get("/").text == "inside"


def test_two_pages_of_one_host_know_their_visitors_apart():
    one, other = page(Guard.of("127.0.0.1", "one")), page(Guard.of("127.0.0.1", "other"))
    other.cookies = one.cookies  # browsers do not tell ports apart
    one.get("/", params={"token": "one"})
    other.get("/", params={"token": "other"})
    assert one.get("/").text == other.get("/").text == "inside"


def test_the_token_leads_to_no_other_site():
    answer = page(Guard.of("127.0.0.1", "mine")).get("http://127.0.0.1:8765//evil.example/x?token=mine")
    assert (answer.status_code, answer.headers["location"]) == (303, "/evil.example/x")


def test_the_page_of_another_site_gets_nothing_but_a_link_from_it_works():
    guarded = page(Guard.of("127.0.0.1"))
    other = {"Sec-Fetch-Site": "cross-site"}
    for mode in ("no-cors", "cors"):
        assert guarded.get("/", headers={**other, "Sec-Fetch-Mode": mode}).status_code == 403
    assert guarded.get("/", headers={**other, "Sec-Fetch-Mode": "navigate"}).text == "inside"
    assert guarded.get("/", headers={"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}).text == "inside"


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
    for host in ("a..b", "x" * 70 + ".example"):
        with pytest.raises(UserError, match="no address that is known"):
            listen(host, 0)


def test_a_machine_without_ipv6_says_so(monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    monkeypatch.setattr(socket, "socket", refuse)
    with pytest.raises(UserError, match="--host ::1 is no address of this machine"):
        listen("::1", 0)


def test_a_socket_listens(tmp_path):
    listener = listen("127.0.0.1", 0)
    socket.create_connection(listener.getsockname(), 5).close()
    listener.close()
