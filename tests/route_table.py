"""Who may call which route, and what to send there.

Every route of the application stands in ROUTES, with the first letters of the roles that it lets in: Worker,
Requester, Organizer, oPerator; a dash is for everybody. A route that does not stand here fails a test.
"""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

ROLES: Final = {"W": "worker", "R": "requester", "O": "organizer", "P": "operator"}
SIGNED_IN: Final = "WROP"
WRITES: Final = {"POST", "PUT", "DELETE", "PATCH"}

ROUTES: Final = {
    who: {line.strip() for line in lines.strip().splitlines()}
    for who, lines in {
        "-": """
            GET /
            GET /health
            GET /help
            GET /help/errors
            GET /help/offers
            GET /sign-in
            POST /sign-in
            POST /sign-out
            POST /settings
            GET /enter/{token}
            POST /enter/{token}
            GET /join/{token}
            POST /join/{token}
            GET /payslips/{token}
            GET /static/{file_path}
            HEAD /static/{file_path}
            GET /api/v1/openapi
            GET /api/v1/openapi/openapi.json
            GET /api/v1/openapi/{path}
            GET /api/v1/examples
            POST /api/v1/join
            POST /api/v1/tokens
            GET /api/v1/public/payslips/{token}
        """,
        "WROP": """
            GET /account
            POST /account/tokens
            GET /account/tokens/{token_id}/revoke
            POST /account/tokens/{token_id}/revoke
            GET /api/v1/me
        """,
        "W": """
            GET /work
            GET /work/settings
            POST /work/settings
            POST /work/consents
            GET /work/checks/{assignment_id}
            POST /work/checks/{assignment_id}
            GET /work/decisions
            POST /work/decisions/{exclusion_id}
            GET /work/{batch_id}
            GET /work/{batch_id}/about
            POST /work/{batch_id}/answers
            POST /work/{batch_id}/skips
            GET /pay
            GET /pay/lines/{line_id}
            GET /pay/payslips/{payslip_id}
            POST /pay/payslips/{payslip_id}/share
            GET /pay/payslips/{payslip_id}/unshare
            POST /pay/payslips/{payslip_id}/unshare
            GET /pay/payslips/{payslip_id}/links/{share}/end
            POST /pay/payslips/{payslip_id}/links/{share}/end
            GET /hours
            GET /hours/add
            POST /hours/declarations
            GET /hours/export.csv
            PUT /api/v1/me
            PUT /api/v1/consents
            GET /api/v1/exclusions
            POST /api/v1/exclusions/{exclusion_id}/contest
            GET /api/v1/work
            GET /api/v1/work/{batch_id}
            GET /api/v1/work/{batch_id}/next
            PUT /api/v1/assignments/{assignment_id}/answer
            POST /api/v1/assignments/{assignment_id}/contest
            POST /api/v1/assignments/{assignment_id}/open
            POST /api/v1/assignments/{assignment_id}/return
            POST /api/v1/assignments/{assignment_id}/skip
            POST /api/v1/proofs
            GET /api/v1/pay
            GET /api/v1/pay/lines/{line_id}
            GET /api/v1/payslips
            GET /api/v1/payslips/{payslip_id}
            POST /api/v1/payslips/{payslip_id}/share
            DELETE /api/v1/payslips/{payslip_id}/share
            GET /api/v1/hours
            GET /api/v1/declarations
            POST /api/v1/declarations
        """,
        "R": """
            GET /projects
            POST /projects
            GET /projects/new
            GET /projects/{project_id}
            GET /projects/{project_id}/definition
            GET /projects/{project_id}/exclusions
            POST /projects/{project_id}/exclusions
            POST /projects/{project_id}/exclusions/{exclusion_id}
            POST /projects/{project_id}/definition
            POST /projects/{project_id}/batches
            GET /projects/{project_id}/batches/new
            GET /batches/{batch_id}
            GET /batches/{batch_id}/live
            GET /batches/{batch_id}/export
            POST /batches/{batch_id}/uploads
            POST /batches/{batch_id}/terms
            POST /batches/{batch_id}/open
            POST /batches/{batch_id}/pause
            GET /batches/{batch_id}/close
            POST /batches/{batch_id}/close
            GET /batches/{batch_id}/contested
            GET /batches/{batch_id}/items/{item_id}
            POST /batches/{batch_id}/items/{item_id}/adjudicate
            POST /batches/{batch_id}/items/{item_id}/put-back
            POST /batches/{batch_id}/items/{item_id}/drop
            POST /batches/{batch_id}/items/{item_id}/retire
            POST /batches/{batch_id}/contests/{contest_id}
            GET /uploads/{upload_id}/problems.csv
            GET /balance
            POST /balance
            POST /api/v1/definitions/check
            GET /api/v1/projects
            POST /api/v1/projects
            GET /api/v1/projects/{project_id}
            POST /api/v1/projects/{project_id}/definitions
            GET /api/v1/projects/{project_id}/batches
            GET /api/v1/projects/{project_id}/exclusions
            POST /api/v1/projects/{project_id}/exclusions
            POST /api/v1/projects/{project_id}/exclusions/{exclusion_id}/withdraw
            POST /api/v1/projects/{project_id}/batches
            GET /api/v1/batches/{batch_id}
            GET /api/v1/batches/{batch_id}/export
            GET /api/v1/batches/{batch_id}/quote
            PUT /api/v1/batches/{batch_id}/terms
            POST /api/v1/batches/{batch_id}/uploads
            POST /api/v1/batches/{batch_id}/open
            POST /api/v1/batches/{batch_id}/pause
            POST /api/v1/batches/{batch_id}/close
            POST /api/v1/batches/{batch_id}/refit
            GET /api/v1/batches/{batch_id}/broken
            GET /api/v1/batches/{batch_id}/contested
            GET /api/v1/batches/{batch_id}/items/{item_id}/decisions
            POST /api/v1/batches/{batch_id}/items/{item_id}/adjudicate
            POST /api/v1/batches/{batch_id}/items/{item_id}/publish
            GET /api/v1/batches/{batch_id}/known
            POST /api/v1/batches/{batch_id}/contests/{contest_id}/decide
            POST /api/v1/projects/{project_id}/qualifications
            POST /api/v1/batches/{batch_id}/items/{item_id}/put-back
            POST /api/v1/batches/{batch_id}/items/{item_id}/drop
            GET /api/v1/uploads/{upload_id}
            GET /api/v1/balance
            POST /api/v1/balance/prefund
        """,
        "OP": """
            GET /audit/wages
            GET /audit/wages.csv
            GET /audit/hours
            GET /audit/hours.csv
            GET /audit/workers/{worker_id}
            GET /audit/lines/{line_id}
            GET /audit/ledger
            GET /audit/checks
            POST /audit/checks
            POST /audit/hours/count
            GET /audit/reports/{report_id}/live
            GET /audit/accounts/{code}
            GET /audit/journals
            GET /audit/journals/{journal_id}
            GET /audit/exports
            GET /audit/bundles/{name}
            GET /audit/mturk
            POST /audit/mturk
            GET /api/v1/audit/periods
            GET /api/v1/audit/wages
            GET /api/v1/audit/hours
            GET /api/v1/audit/lines
            GET /api/v1/audit/lines/{line_id}
            GET /api/v1/audit/accounts
            GET /api/v1/audit/accounts/{code}/statement
            GET /api/v1/audit/journals
            GET /api/v1/audit/journals/{journal_id}
            POST /api/v1/audit/checks
            POST /api/v1/audit/hours/count
            GET /api/v1/audit/reports/{report_id}
            GET /api/v1/audit/key
            GET /api/v1/audit/bundles/{name}
            POST /api/v1/audit/mturk
        """,
        "P": """
            GET /operate/people
            POST /operate/people/invitations
            POST /operate/people/{person_id}/link
            GET /operate/periods
            GET /operate/periods/{code}/live
            GET /operate/periods/{code}/close
            POST /operate/periods/{code}/close
            GET /operate/payouts
            GET /operate/payouts/{run_id}
            GET /operate/payouts/{run_id}/file
            POST /operate/payouts/{run_id}/file
            POST /operate/payouts/{run_id}/confirm
            POST /operate/payouts/{run_id}/{payout_id}
            GET /operate/rules
            POST /operate/rules/{rule_id}/{version}/verify
            GET /operate/exclusions
            POST /operate/exclusions
            POST /operate/exclusions/{exclusion_id}
            GET /operate/declarations
            POST /operate/declarations/{declaration_id}
            GET /api/v1/people
            POST /api/v1/invitations
            PUT /api/v1/clock
            GET /api/v1/operate/periods
            GET /api/v1/operate/periods/{code}
            POST /api/v1/operate/periods/{code}/close
            GET /api/v1/operate/rules
            POST /api/v1/operate/rules/{rule_id}/{version}/verify
            GET /api/v1/operate/exclusions
            POST /api/v1/operate/exclusions
            POST /api/v1/operate/exclusions/{exclusion_id}/decide
            GET /api/v1/operate/declarations
            POST /api/v1/operate/declarations/{declaration_id}/decide
            GET /api/v1/operate/runs/{run_id}
            POST /api/v1/operate/runs/{run_id}/file
            POST /api/v1/operate/runs/{run_id}/confirm
            POST /api/v1/operate/runs/{run_id}/payouts/{payout_id}/confirm
            POST /api/v1/operate/runs/{run_id}/payouts/{payout_id}/fail
        """,
    }.items()
}


@dataclass(frozen=True)
class Route:
    """One way to call the application."""

    method: str
    path: str
    who: str
    body: type[msgspec.Struct] | None
    query: tuple[str, ...]

    @property
    def name(self) -> str:
        """How the table writes it."""
        return f"{self.method} {self.path}"

    @property
    def public(self) -> bool:
        """Whether it is for everybody."""
        return self.who == "-"


def allowed(name: str) -> str:
    """Give the letters of who may call a route; '' for one that the table does not know."""
    return next((who for who, names in ROUTES.items() if name in names), "")


def routes_of(app: Litestar) -> list[Route]:
    """Find every route that the application answers."""
    found = []
    for route in app.routes:
        assert isinstance(route, HTTPRoute), route.path  # a socket would need rules of its own
        path = "/".join(
            part if isinstance(part, str) else "{" + part.name + "}" for part in ("", *route.path_components)
        )
        for handler in route.route_handlers:
            for method in sorted(str(one) for one in handler.http_methods if one != "OPTIONS"):
                name = f"{method} {path or '/'}"
                body, query = _parts(handler, path)
                found.append(Route(method, path or "/", allowed(name), body, query))
    return sorted(found, key=lambda route: route.name)


def _parts(handler: HTTPRouteHandler, path: str) -> tuple[type[msgspec.Struct] | None, tuple[str, ...]]:
    """Find the body and the query of a handler."""
    body, query = None, []
    given = {*handler.resolve_dependencies(), "request", "state"}
    for name, field in handler.parsed_fn_signature.parameters.items():
        if name == "data":
            body = field.annotation
            assert inspect.isclass(body), path
            assert issubclass(body, msgspec.Struct), f"{path}: a body is a struct"
        elif name not in given and f"{{{name}}}" not in path:
            query.append(name)
    return body, tuple(query)


MAKERS: Final[dict[type, Any]] = {
    msgspec.inspect.StrType: "x",
    msgspec.inspect.IntType: 1,
    msgspec.inspect.BoolType: True,
    msgspec.inspect.UUIDType: "01935e5c-0000-7000-8000-000000000000",
    msgspec.inspect.DateTimeType: "2026-11-16T06:00:00+00:00",
    msgspec.inspect.DictType: {},
    msgspec.inspect.ListType: [],
    msgspec.inspect.NoneType: None,
    msgspec.inspect.AnyType: {},
    msgspec.inspect.DecimalType: "1",
}


def valid(body: type[msgspec.Struct] | None, **given: Any) -> Any:
    """Make a body that the route can read, whatever it then thinks of it."""
    if body is None:
        return None
    fields = {field.encode_name: _value(field.type) for field in _fields(body)}
    made = fields | {name: value for name, value in given.items() if name in fields}
    msgspec.convert(made, body, strict=False)
    return made


def hostile_bodies(body: type[msgspec.Struct]) -> Iterator[bytes]:
    """Give bodies that no honest program sends."""
    fine = valid(body)
    yield from (b"", b"null", b"[]", b'"x"', b"{}", b"{", b"\xff", b"[" * 5000, b'{"a":' * 5000, b"1e999")
    yield msgspec.json.encode(fine | {"more": 1})
    worse: tuple[Any, ...] = (None, -1, 2**63, 1.5, "", "\x00", "x" * 20_000, [[]], {"a": "\x00"}, True)
    worse += (
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-12:00",
        "2026-11-16T06:00:00",
        "é\u202e🙂",
        "-1",
    )
    for name in fine:
        for value in worse:
            yield msgspec.json.encode(fine | {name: value})
        yield msgspec.json.encode(fine | {name: "@"}).replace(b'"@"', b'"\\ud800"')
        yield msgspec.json.encode(fine | {name: "@"}).replace(b'"@"', b"9" * 400)
        yield msgspec.json.encode(fine | {name: "@"}).replace(b'"@"', b'{"a":' * 3000 + b"1" + b"}" * 3000)


def _fields(body: type[msgspec.Struct]) -> tuple[msgspec.inspect.Field, ...]:
    info = msgspec.inspect.type_info(body)
    assert isinstance(info, msgspec.inspect.StructType)
    return info.fields


def _value(kind: msgspec.inspect.Type) -> Any:
    if isinstance(kind, msgspec.inspect.Metadata):
        return _value(kind.type)
    if isinstance(kind, msgspec.inspect.UnionType):
        return _value(kind.types[0])
    if isinstance(kind, msgspec.inspect.LiteralType):
        return kind.values[0]
    if isinstance(kind, msgspec.inspect.EnumType):
        return next(iter(kind.cls)).value
    if isinstance(kind, msgspec.inspect.StructType):
        return {field.encode_name: _value(field.type) for field in kind.fields}
    return MAKERS[type(kind)]
