"""The page on 127.0.0.1, with nothing from outside.

Every address begins with a token that is new in each run, so that only who was given the address gets anything;
files are looked up by random names, never by paths; the Host header must be ours, which stops DNS rebinding.
"""

import json
import re
import secrets
import socketserver
import sys
from collections.abc import Mapping
from functools import cached_property
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any

from audiotoken.errors import OptionError
from audiotoken.rating.study import PICTURES, SOUNDS
from audiotoken.rating.trials import RequestError, Trials

HOST = "127.0.0.1"
LONGEST = 4096  # bytes of what is sent to us
KINDS = {
    "page.html": "text/html; charset=utf-8",
    "page.css": "text/css",
    "page.js": "text/javascript; charset=utf-8",
    "page.svg": "image/svg+xml",
}
POLICY = "; ".join(
    [
        "default-src 'none'",
        *(f"{kind}-src 'self'" for kind in ("script", "style", "img", "media", "connect")),
        *(f"{kind} 'none'" for kind in ("base-uri", "form-action", "frame-ancestors")),
    ]
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class RatingServer(ThreadingHTTPServer):
    """`url` is what a browser opens; `rater` fills in the name there."""

    daemon_threads = True

    def __init__(self, trials: Trials, *, port: int = 0, rater: str = "") -> None:
        self.trials, self.rater = trials, rater
        self.token = secrets.token_urlsafe(24)
        try:
            super().__init__((HOST, port), Handler)
        except OSError as error:
            said = error.strerror or error
            raise OptionError(f"Cannot listen on port {port}: {said}; take another or --port 0, a free one.") from None

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # HTTPServer would ask a name server who we are
        self.server_name, self.server_port = HOST, self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that stops loading a sound half-way is no error."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server_port}/{self.token}/"

    @property
    def hosts(self) -> tuple[str, ...]:
        return f"{HOST}:{self.server_port}", f"localhost:{self.server_port}"

    @cached_property
    def assets(self) -> dict[str, bytes]:
        read = {name: (files("audiotoken.rating") / name).read_bytes() for name in KINDS}
        read["page.html"] = read["page.html"].replace(b"{rater}", escape(self.rater).encode())
        return read


class Refusal(Exception):
    """A status, and the sentence that goes with it."""

    def __init__(self, status: HTTPStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Handler(BaseHTTPRequestHandler):
    server: RatingServer
    protocol_version = "HTTP/1.1"
    timeout = 30  # seconds for who opens a connection and says nothing

    def version_string(self) -> str:
        return "audiotoken"

    def do_GET(self) -> None:
        try:
            kind, name = self._place()
            if kind == "media":
                self._send_file(name)
            elif not kind and (asset := name or "page.html") in KINDS:
                self._send(self.server.assets[asset], KINDS[asset])
            else:
                raise Refusal(HTTPStatus.NOT_FOUND, "There is nothing here.")
        except Refusal as refusal:
            self._refuse(refusal)

    def do_POST(self) -> None:
        try:
            actions = {"start": self.server.trials.start, "answer": self.server.trials.answer}
            kind, name = self._place()
            if kind or name not in actions:
                raise Refusal(HTTPStatus.NOT_FOUND, "There is nothing here.")
            said = actions[name](self._fields())
            self._send(json.dumps(said).encode(), "application/json")
        except Refusal as refusal:
            self._refuse(refusal)
        except RequestError as error:
            self._refuse(Refusal(HTTPStatus.BAD_REQUEST, str(error)))
        except OptionError as error:  # the disk is full, say
            self._refuse(Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, str(error)))

    def _place(self) -> tuple[str, str]:
        """(kind, name) of what is asked for; Refusal for whom we do not know."""
        if self.headers.get_all("Host") not in [[host] for host in self.server.hosts]:
            raise Refusal(HTTPStatus.MISDIRECTED_REQUEST, "Open the address that the terminal shows.")
        origin = self.headers.get("Origin")
        if origin is not None and origin not in [f"http://{host}" for host in self.server.hosts]:
            raise Refusal(HTTPStatus.FORBIDDEN, "Another page sent this; open the address that the terminal shows.")
        found = re.fullmatch(r"/([\w-]+)/(?:(media)/)?([\w.]*)", self.path, re.ASCII)
        if not found or not secrets.compare_digest(found[1], self.server.token):
            raise Refusal(HTTPStatus.NOT_FOUND, "There is nothing here; open the address that the terminal shows.")
        return found[2] or "", found[3]

    def _fields(self) -> Mapping[str, Any]:
        """What was sent: a JSON object of a few hundred bytes."""
        length = self.headers.get("Content-Length", "")
        if self.headers.get_content_type() != "application/json":  # a form of another page cannot send this
            raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send JSON.")
        if not re.fullmatch(r"[0-9]{1,9}", length, re.ASCII) or "Transfer-Encoding" in self.headers:
            raise Refusal(HTTPStatus.LENGTH_REQUIRED, "Say how long it is.")
        if int(length) > LONGEST:
            raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"Send at most {LONGEST} bytes.")
        try:
            fields = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            fields = None
        if not isinstance(fields, dict):
            raise Refusal(HTTPStatus.BAD_REQUEST, "Send a JSON object.")
        return fields

    def _send_file(self, name: str) -> None:
        path = self.server.trials.media.get(name)
        if path is None:
            raise Refusal(HTTPStatus.NOT_FOUND, "There is no such sound or picture.")
        try:
            content = path.read_bytes()
        except OSError:
            raise Refusal(HTTPStatus.NOT_FOUND, "This sound or picture is no longer there.") from None
        self._send(content, (SOUNDS | PICTURES)[path.suffix.lower()], ranges=True)

    def _send(self, content: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK, *, ranges: bool = False) -> None:
        """All of it, or the part that was asked for: without parts browsers cannot wind a sound back."""
        asked = re.fullmatch(r"bytes=([0-9]{1,12})-([0-9]{0,12})", self.headers.get("Range", ""), re.ASCII)
        extra = {"Accept-Ranges": "bytes"} if ranges else {}
        if ranges and asked:
            first, size = int(asked[1]), len(content)
            last = min(int(asked[2] or size), size - 1)
            if first > last:
                raise Refusal(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, f"There are {size} bytes.")
            content, status = content[first : last + 1], HTTPStatus.PARTIAL_CONTENT
            extra["Content-Range"] = f"bytes {first}-{last}/{size}"
        self.send_response(status)
        for header, value in (HEADERS | extra | {"Content-Type": kind, "Content-Length": str(len(content))}).items():
            self.send_header(header, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    def _refuse(self, refusal: Refusal) -> None:
        self.close_connection = True  # what else was sent is not read
        self._send(json.dumps({"problem": str(refusal)}).encode(), "application/json", refusal.status)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Of requests that are none: the parser's own page would come without our headers."""
        self.headers = getattr(self, "headers", None) or self.MessageClass()  # type: ignore[assignment]
        self._refuse(Refusal(HTTPStatus(code), message or "This is no request."))

    def log_message(self, format: str, *args: Any) -> None:
        """The terminal says where the page is, and nothing else."""
