"""Signing in and out, joining, tokens: closed by default and hard to guess."""

import hmac
import os
import secrets
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import factories
import pytest
from sqlalchemy import select

from annotate import auth
from annotate.auth import Attempt
from annotate.settings import WebSettings
from annotate.visit import CLOCK_HEADER, COOKIE
from payments.settings import PaymentSettings
from tasks.people import Role
from tasks.settings import TaskSettings, UnsafeSetting

PASSWORD = "a long enough password"


def login(site: Any, email: str) -> None:
    with site.session() as session:
        auth.add_login(session, factories.worker(session, site.now), email, PASSWORD, site.now)


def test_a_password_signs_in_and_signing_out_ends_it(site: Any) -> None:
    login(site, "amina@example.org")
    with site.client() as client:
        answer = client.post(
            "/sign-in", data={"email": "Amina@example.org", "password": PASSWORD}, follow_redirects=False
        )
        assert (answer.status_code, answer.headers["location"]) == (302, "/work")
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        token = client.get("/account").text.split('name="csrf" value="')[1].split('"')[0]
        kept = client.cookies[COOKIE]
        client.post("/sign-out", data={"csrf": token})
        client.cookies.set(COOKIE, kept)
        assert client.get("/account").status_code == 401


def test_a_wrong_password_says_so_and_many_are_too_many(site: Any) -> None:
    login(site, "baraka@example.org")
    with site.client() as client:
        statuses = [
            client.post("/sign-in", data={"email": "baraka@example.org", "password": "no"}).status_code
            for _ in range(12)
        ]
        assert statuses[:10] == [401] * 10
        assert statuses[10:] == [429] * 2


def test_a_write_without_the_token_of_the_sign_in_is_refused(site: Any) -> None:
    with site.client("operator") as client:
        del client.headers["x-csrf-token"]
        answer = client.post("/operate/people/invitations", data={"role": "worker"})
        assert answer.status_code == 403
        forged = client.post("/operate/people/invitations", data={"role": "worker", "csrf": "guess"})
        assert forged.status_code == 403


def test_people_join_by_invitation_once(site: Any) -> None:
    with site.session() as session:
        token = auth.invite(session, None, Role.WORKER, site.now)
    form = {"name": "Chebet", "email": "chebet@example.org", "password": PASSWORD, "place": "KE"}
    with site.client() as client:
        assert "Join Fairlabel" in client.get(f"/join/{token}").text
        weak = client.post(f"/join/{token}", data={**form, "password": "short"})
        assert weak.status_code == 422
        assert 'value="Chebet"' in weak.text
        joined = client.post(f"/join/{token}", data=form, follow_redirects=False)
        assert joined.headers["location"] == "/work"
        assert client.get(f"/join/{token}").status_code == 404
    with site.client() as client:
        assert client.get(f"/join/{uuid4()}").status_code == 404


def test_a_one_time_link_works_once(site: Any) -> None:
    with site.session() as session:
        token = auth.make_link(session, site.people["worker"], site.now)
    with site.client() as client:
        assert client.get(f"/enter/{token}").status_code == 200
        assert client.post(f"/enter/{token}", follow_redirects=False).headers["location"] == "/work"
    with site.client() as client:
        dead = client.get(f"/enter/{token}")
        assert dead.status_code == 404
        assert "used already or is too old" in dead.text
        assert "Sign in now" not in dead.text, "nothing is offered that will not work"
        assert client.post(f"/enter/{token}").status_code == 404


def test_a_sign_in_goes_only_to_our_own_pages(site: Any) -> None:
    login(site, "daudi@example.org")
    for address in ("https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"):
        with site.client() as client:
            form = {"email": "daudi@example.org", "password": PASSWORD, "next_page": address}
            answer = client.post("/sign-in", data=form, follow_redirects=False)
            assert answer.headers["location"] == "/work"


def test_a_token_acts_for_a_person_until_it_is_revoked(site: Any) -> None:
    with site.session() as session:
        token = auth.make_api_token(session, site.people["requester"], "script", site.now)
    headers = {"Authorization": f"Bearer {token}"}
    with site.client() as client:
        assert client.get("/api/v1/me", headers=headers).json()["role"] == "requester"
        with site.session() as session:
            (ticket,) = auth.api_tokens(session, site.people["requester"].id)
            auth.revoke_api_token(session, site.people["requester"].id, ticket.id, site.now)
        refused = client.get("/api/v1/me", headers=headers)
        assert refused.status_code == 401
        assert refused.headers["content-type"] == "application/problem+json"


def test_every_page_is_kept_to_itself(site: Any) -> None:
    with site.client() as client:
        headers = client.get("/sign-in").headers
        assert "script-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert client.get("/nowhere").headers["content-security-policy"]


def test_spaces_and_capitals_are_no_way_around_the_count(site: Any) -> None:
    written = [f"{' ' * n}Esther@Example.org{' ' * n}" for n in range(12)]
    with site.client() as client:
        tried = [
            client.post("/sign-in", data={"email": one, "password": "no"}).status_code for one in written
        ]
        assert tried[10:] == [429] * 2


def test_who_tried_to_sign_in_is_not_told_by_the_database(site: Any) -> None:
    later = site.now + timedelta(hours=1)
    with site.client() as client:
        client.headers[CLOCK_HEADER] = later.isoformat()
        client.post("/sign-in", data={"email": "faraji@example.org", "password": "no"})
        client.post("/api/v1/tokens", json={"email": "faraji@example.org", "password": "no"})
    with site.session() as session:
        query = select(Attempt).where(Attempt.window_start >= later - timedelta(minutes=10))
        counted = {one.bucket: one.count for one in session.scalars(query)}
    tried = ("sign-in:faraji@example.org", "sign-in:testclient")
    key = site.app.state.web.secret_key.encode()
    assert counted == {hmac.digest(key, one.encode(), "sha256").hex(): 2 for one in tried}


WEAK = ["", "short", "a" * 64, "0123456789abcdef" * 4, "change-me-change-me-change-me-1234567890"]


@pytest.mark.parametrize("secret", WEAK)
def test_it_refuses_a_weak_secret(secret: str) -> None:
    with pytest.raises(UnsafeSetting, match="FAIRLABEL_SECRET_KEY"):
        WebSettings.from_env({"FAIRLABEL_SECRET_KEY": secret})


@pytest.mark.parametrize("secret", [*WEAK[1:], "0" * 64])
def test_it_signs_no_books_with_a_weak_key(secret: str) -> None:
    with pytest.raises(UnsafeSetting, match="PAYMENTS_LOG_KEY"):
        PaymentSettings.from_env({"PAYMENTS_LOG_KEY": secret})


def test_a_key_as_it_should_be_made_is_taken() -> None:
    for _ in range(1000):
        secret = secrets.token_hex(32)
        assert WebSettings(secret_key=secret).secret_key == secret
        assert PaymentSettings(log_key=secret).log_key == secret


@pytest.mark.parametrize(
    ("command", "wrong", "named"),
    [
        ("serve", {}, "FAIRLABEL_SECRET_KEY"),
        ("serve", {"FAIRLABEL_SECRET_KEY": "default" * 8}, "FAIRLABEL_SECRET_KEY"),
        ("worker", {"PAYMENTS_LOG_KEY": "0" * 64}, "PAYMENTS_LOG_KEY"),
    ],
)
def test_nothing_starts_on_a_secret_that_others_know(
    command: str, wrong: dict[str, str], named: str, tmp_path: Path
) -> None:
    env = {"PATH": os.environ["PATH"], "FAIRLABEL_HOME": str(tmp_path)} | wrong
    arguments = [sys.executable, "-m", "annotate.cli", command]
    ran = subprocess.run(arguments, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 2
    assert ran.stderr.startswith((named, "Object missing required field " + named))
    assert len(ran.stderr.splitlines()) == 1


def test_a_real_instance_refuses_a_simulated_clock() -> None:
    env = {"DATABASE_URL": "postgresql://localhost/x", "FAIRLABEL_CLOCK": "simulated"}
    with pytest.raises(UnsafeSetting, match="FAIRLABEL_CLOCK"):
        TaskSettings.from_env(env)
    assert TaskSettings.from_env(env | {"FAIRLABEL_INSTANCE": "demo"}).simulated
