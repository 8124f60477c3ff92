"""The API's document says what really happens, and can be read without scripts."""

from typing import Any
from uuid import uuid4

import pytest

DOCUMENT = "/api/v1/openapi/openapi.json"
PAGE = "/api/v1/openapi"


@pytest.fixture(scope="module")
def document(site: Any) -> dict[str, Any]:
    """The document as programs get it."""
    with site.client() as client:
        found: dict[str, Any] = client.get(DOCUMENT).json()
        return found


def test_the_page_is_readable_without_scripts_and_names_every_operation(
    site: Any, document: dict[str, Any]
) -> None:
    with site.client() as client:
        answer = client.get(PAGE)
        assert answer.headers["content-type"].startswith("text/html")
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert "<script>" not in answer.text
        assert "http://" not in answer.text.partition("<main")[2]
        for path, item in document["paths"].items():
            for method in item:
                assert f'{method.upper()}</b> <span class="code">{path}</span>' in answer.text
        assert "Set the pay terms" in answer.text
        assert f'href="{PAGE}"' in client.get("/help").text
        client.cookies.set("fairlabel_lang", "fr")
        assert '<html lang="fr"' in client.get(PAGE).text


def test_errors_are_problem_documents_with_their_statuses(document: dict[str, Any]) -> None:
    for path, item in document["paths"].items():
        for method, one in item.items():
            for code, said in one["responses"].items():
                if code >= "400":
                    assert list(said["content"]) == ["application/problem+json"], (path, method, code)
    terms = document["paths"]["/api/v1/batches/{batch_id}/terms"]["put"]["responses"]
    assert set(terms) == {"200", "400", "401", "403", "404", "409", "413", "422"}
    assert "401" not in document["paths"]["/api/v1/examples"]["get"]["responses"]
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"


def test_what_is_answered_stands_in_the_document(site: Any, document: dict[str, Any]) -> None:
    wrong = {"amount": "x", "currency": "EUR", "reference": "r"}
    asked: list[tuple[str | None, str, str, dict[str, Any]]] = [
        (None, "get", "/api/v1/projects", {}),
        ("worker", "get", "/api/v1/projects", {}),
        ("requester", "post", "/api/v1/projects", {"content": b"{"}),
        ("requester", "get", f"/api/v1/batches/{uuid4()}", {}),
        ("requester", "post", "/api/v1/balance/prefund", {"json": wrong}),
    ]
    for who, method, address, more in asked:
        with site.client(who) as client:
            answer = client.request(method.upper(), address, **more)
        path = "/api/v1/batches/{batch_id}" if "batches" in address else address
        said = document["paths"][path][method]["responses"][str(answer.status_code)]
        (kind,) = said["content"]
        assert kind == answer.headers["content-type"] == "application/problem+json"
        assert set(document["components"]["schemas"]["Problem"]["required"]) <= set(answer.json())
