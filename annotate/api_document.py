"""The API's own document: OpenAPI for programs, and the same as a page of ours for people.

Litestar derives it from the routes; what it does not know is added here: that every error is a problem document, with
the statuses that an operation can really answer, and how a program signs in.
"""

from copy import deepcopy
from typing import Any, Final

from litestar import Request
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin

from annotate import rendering

PATH: Final = "/api/v1/openapi"
OPEN_TO_ALL: Final = ("/api/v1/examples", "/api/v1/join", "/api/v1/tokens", "/api/v1/public/")
PROBLEM: Final = {
    "type": "object",
    "description": "An error (RFC 9457). Its name is one of /help/errors; some errors carry more members.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "description": "Where the error is explained."},
        "title": {"type": "string", "description": "The name of the error."},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong and what to do, in a sentence."},
        "field": {"type": "string", "description": "Which part of what was sent is meant."},
        "problems": {
            "type": "array",
            "items": {"type": "object"},
            "description": "All of them, by JSON pointer.",
        },
    },
}
SAID: Final = {
    400: "The body or a parameter cannot be read.",
    401: "No token was sent, or it is unknown or revoked.",
    403: "This is for another role.",
    404: "There is no such thing, or it is not yours.",
    409: "The state of things does not allow this now.",
    413: "What was sent is too large.",
    422: "What was sent cannot be used.",
    429: "Too many attempts.",
}
EXAMPLE: Final = 'curl -H "Authorization: Bearer TOKEN" …/api/v1/me'
METHODS: Final = ("get", "post", "put", "delete")


def config() -> OpenAPIConfig:
    """Say where the document and its page are."""
    return OpenAPIConfig(
        title="Fairlabel",
        version="1",
        path=PATH,
        use_handler_docstrings=True,
        render_plugins=[ReadablePage(path="/"), Document(path="/openapi.json")],
    )


class Document(JsonRenderPlugin):
    """The document for programs."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Write the whole document."""
        return super().render(request, with_problems(openapi_schema))


class ReadablePage(OpenAPIRenderPlugin):
    """The document for people, without scripts."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Write the page."""
        whole = with_problems(openapi_schema)
        groups: dict[str, list[dict[str, Any]]] = {}
        for path, item in whole["paths"].items():
            for method, one in ((name, item[name]) for name in METHODS if name in item):
                groups.setdefault(one["tags"][0], []).append(_operation(whole, path, method, one))
        shown = {"groups": sorted(groups.items()), "document": f"{PATH}/openapi.json", "example": EXAMPLE}
        return rendering.bare(request, "api.html", **shown).encode()


def with_problems(schema: dict[str, Any]) -> dict[str, Any]:
    """Add errors and sign-in to the document."""
    whole = deepcopy(schema)
    parts = whole.setdefault("components", {})
    parts.setdefault("schemas", {})["Problem"] = PROBLEM
    parts["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "POST /api/v1/tokens"}
    }
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for path, item in whole["paths"].items():
        for method, one in ((name, item[name]) for name in METHODS if name in item):
            fine = {code: kept for code, kept in one["responses"].items() if code < "400"}
            wrong = {
                str(code): {"description": SAID[code], "content": content}
                for code in statuses(path, method, one)
            }
            one["responses"] = fine | wrong
            one["security"] = [] if path.startswith(OPEN_TO_ALL) else [{"token": []}]
    return whole


def statuses(path: str, method: str, operation: dict[str, Any]) -> list[int]:
    """Give the errors that an operation can answer."""
    writes, sent = method != "get", operation.get("parameters") or operation.get("requestBody")
    found = {400} if sent else set()
    if not path.startswith(OPEN_TO_ALL):
        found |= {401, 403}
    if "{" in path or path == "/api/v1/join":
        found.add(404)
    if writes:
        found |= {409, 413, 422}
    if path in {"/api/v1/join", "/api/v1/tokens"}:
        found |= {401, 429} if path.endswith("tokens") else {429}
    if any(one["in"] == "query" for one in operation.get("parameters") or []):
        found.add(422)
    return sorted(found)


def _operation(whole: dict[str, Any], path: str, method: str, one: dict[str, Any]) -> dict[str, Any]:
    """Prepare an operation for the page."""
    body = _schema((one.get("requestBody") or {}).get("content", {}))
    answers = [
        (code, said["description"], _named(_schema(said.get("content", {}))))
        for code, said in one["responses"].items()
    ]
    return {
        "id": one["operationId"],
        "method": method.upper(),
        "path": path,
        "said": one.get("description") or one["summary"],
        "sent": [
            *(
                (name["name"], name["in"], _named(name["schema"]), name.get("required", False))
                for name in one.get("parameters") or []
            ),
            *((name, "body", kind, needed) for name, kind, needed in _fields(whole, body)),
        ],
        "answers": answers,
    }


def _schema(content: dict[str, Any]) -> dict[str, Any]:
    return next((dict(kept.get("schema") or {}) for kept in content.values()), {})


def _fields(whole: dict[str, Any], schema: dict[str, Any]) -> list[tuple[str, str, bool]]:
    """Give the fields of a body: name, type, whether it has to be there."""
    name = schema.get("$ref", "").rpartition("/")[2]
    found = whole["components"]["schemas"].get(name, schema)
    required = found.get("required", [])
    return [(key, _named(part), key in required) for key, part in found.get("properties", {}).items()]


def _named(schema: dict[str, Any]) -> str:
    """Write a type in a few words."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "oneOf" in schema or "anyOf" in schema:
        return " or ".join(_named(one) for one in schema.get("oneOf") or schema["anyOf"])
    if "enum" in schema:
        return " | ".join(str(one) for one in schema["enum"])
    kind = schema.get("type", "")
    if kind == "array":
        return f"list of {_named(schema.get('items', {})) or 'anything'}"
    words = " or ".join(kind) if isinstance(kind, list) else str(kind)
    return f"{words} ({schema['format']})" if "format" in schema else words
