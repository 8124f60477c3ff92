"""The web application: routes, the transaction of a request, security headers, errors.

Every answer carries a strict Content-Security-Policy: our own scripts, our own styles (one inlined sheet, allowed by
its hash), nothing from elsewhere.
"""

from pathlib import Path
from typing import Any

from litestar import Litestar, Request, Response, get
from litestar.config.compression import CompressionConfig
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException, NotFoundException
from litestar.static_files import create_static_files_router
from litestar.types import Message, Scope
from sqlalchemy import text

from annotate import api_document, problems, rendering
from annotate.account import Account, AccountApi
from annotate.audit import AuditApi, AuditPages
from annotate.audit_exports import Exports as AuditExports
from annotate.audit_exports import ExportsApi as AuditExportsApi
from annotate.audit_ledger import LedgerApi, LedgerPages
from annotate.audit_line import LineApi, LinePages
from annotate.audit_reports import ReportApi, ReportPages
from annotate.balance import BalanceApi, BalancePages
from annotate.batches import BatchApi, BatchPages
from annotate.broken_items import BrokenApi, BrokenPages
from annotate.consensus_views import ConsensusApi, ConsensusPages
from annotate.exclusions import ExclusionApi, ExclusionPages
from annotate.exports import Exports
from annotate.help import Help
from annotate.known_answers import KnownAnswerApi, KnownAnswerPages
from annotate.labeling import Labeling, LabelingApi
from annotate.mturk import TurkApi, TurkPages
from annotate.my_hours import MyHours, MyHoursApi
from annotate.my_pay import MyPay, MyPayApi
from annotate.operate import Operate, OperateApi
from annotate.operate_payouts import PayoutApi, PayoutPages
from annotate.operate_rules import RuleApi, RulePages
from annotate.people import People, PeopleApi
from annotate.projects import Projects, ProjectsApi
from annotate.settings import WebSettings
from annotate.visit import provide_form, provide_session, provide_visit
from annotate.work import Work, WorkApi
from tasks import queue
from tasks.db import engine_for
from tasks.errors import FairlabelError
from tasks.settings import TaskSettings

BODY_BYTES_MAX = 2 << 20
NAME_CHARACTERS_MAX = 100
PACKED_ALREADY = ("/audit/bundles/", "/health")
"""Paths whose answers gain nothing from being compressed again."""
STATIC = Path(__file__).parent / "static"


@get("/health", sync_to_thread=True, include_in_schema=False)
def health(state: State) -> Response[dict[str, str]]:
    """Answer as soon as the database does."""
    with engine_for(state.tasks.database_url, state.tasks.database_pool).connect() as connection:
        connection.execute(text("SELECT 1"))
    return Response({"status": "ok"})


def create_app(tasks: TaskSettings | None = None, web: WebSettings | None = None) -> Litestar:
    """Make the application. Raises UnsafeSetting on settings that are missing or not safe."""
    tasks = tasks or TaskSettings.from_env()
    web = web or WebSettings.from_env()
    queue.configure(tasks)
    return Litestar(
        route_handlers=[health, static_files(), *controllers()],
        dependencies={
            "session": Provide(provide_session),
            "form": Provide(provide_form),
            "visit": Provide(provide_visit, sync_to_thread=True),
        },
        exception_handlers={
            FairlabelError: problems.known,
            HTTPException: problems.http,
            Exception: problems.unexpected,
        },
        before_send=[SecurityHeaders(web, tasks.fairlabel_media_origins)],
        state=State({"tasks": tasks, "web": web}),
        compression_config=CompressionConfig(
            backend="gzip", gzip_compress_level=6, minimum_size=600, exclude=list(PACKED_ALREADY)
        ),
        request_max_body_size=BODY_BYTES_MAX,
        openapi_config=api_document.config(),
        logging_config=None,
        debug=False,
    )


def static_files() -> Any:
    """Serve the built front end."""
    return create_static_files_router(
        path="/static", directories=[STATIC], include_in_schema=False, before_request=refuse_no_file_name
    )


def refuse_no_file_name(request: Request[Any, Any, Any]) -> None:
    """Refuse what no file system takes as a name."""
    path = request.scope["path"]
    if not path.isprintable() or max(map(len, path.split("/"))) > NAME_CHARACTERS_MAX:
        raise NotFoundException


def controllers() -> list[Any]:
    """Give all pages and API routes."""
    return [
        Account,
        AccountApi,
        People,
        PeopleApi,
        Projects,
        ProjectsApi,
        BatchPages,
        BatchApi,
        ConsensusPages,
        ConsensusApi,
        BrokenPages,
        BrokenApi,
        ExclusionPages,
        ExclusionApi,
        Exports,
        BalancePages,
        BalanceApi,
        Work,
        WorkApi,
        Labeling,
        LabelingApi,
        KnownAnswerPages,
        KnownAnswerApi,
        MyPay,
        MyPayApi,
        MyHours,
        MyHoursApi,
        Help,
        AuditPages,
        AuditApi,
        LedgerPages,
        LedgerApi,
        ReportPages,
        ReportApi,
        LinePages,
        LineApi,
        AuditExports,
        AuditExportsApi,
        TurkPages,
        TurkApi,
        Operate,
        OperateApi,
        PayoutPages,
        PayoutApi,
        RulePages,
        RuleApi,
    ]


class SecurityHeaders:
    """Adds the headers that keep a page to itself."""

    def __init__(self, web: WebSettings, media_origins: str) -> None:
        """Take how the instance is reached and from where its media come."""
        policy = rendering.assets.policy(media_origins)
        self.headers = [
            (b"content-security-policy", policy.encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"same-origin"),
            (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
            (b"cross-origin-opener-policy", b"same-origin"),
        ]
        if web.secure:
            self.headers.append((b"strict-transport-security", b"max-age=63072000"))

    async def __call__(self, message: Message, scope: Scope) -> None:
        """Add the headers to the start of an answer; pages of people are not to be kept by caches."""
        if message["type"] != "http.response.start":
            return
        headers = list(message.get("headers", []))
        names = {name for name, _ in headers}
        headers += [pair for pair in self.headers if pair[0] not in names]
        if b"cache-control" not in names:
            hashed = scope["path"].startswith("/static/dist/assets/")
            headers.append(
                (b"cache-control", b"public, max-age=31536000, immutable" if hashed else b"no-store")
            )
        message["headers"] = headers
