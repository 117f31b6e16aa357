"""The monitor as a web page: three static files, the state as JSON, and the report once it exists."""

from __future__ import annotations

import ipaddress
import os
import socket
import stat
import sys
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ..errors import EvoError, UserError
from ..files import dump_json
from ..layout import SessionLayout
from .watch import Watch

STATIC = Path(__file__).parent / "static"
PAGES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
REPORT_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The report is one file that contains its scripts, and may load nothing, just as from a disk."""

MAX_REPORT = 256 * 1024 * 1024
"""Size limit of a report in bytes; one of thirty variants has a few MiB."""


class LiveServer(ThreadingHTTPServer):
    """Serves one session, and reads its files at most once per interval, however many pages are open.

    Args:
        watch: reads the session.
        host: address to listen on.
        port: 0 for any free one.
        interval: seconds between two reads.

    Raises:
        UserError: it cannot listen there.
    """

    daemon_threads = True

    def __init__(self, watch: Watch, host: str, port: int, interval: float):
        self.watch, self.interval = watch, interval
        self._looking = threading.Lock()
        self._looked, self._state = float("-inf"), b""
        try:
            addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            self.address_family, _, _, _, address = addresses[0]
            super().__init__((str(address[0]), int(address[1])), _Handler)
        except (OSError, OverflowError) as error:
            hint = "choose another with --port, 0 for any free one"
            raise UserError(f"cannot listen there ({error})", where=f"{host}:{port}", hint=hint) from error
        self.local = ipaddress.ip_address(str(self.server_address[0])).is_loopback

    @property
    def url(self) -> str:
        host = str(self.server_address[0])
        return f"http://{f'[{host}]' if ':' in host else host}:{self.server_address[1]}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report a failed request, unless the page was closed while it was answered."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def state(self) -> bytes:
        """Return a document of ``monitor.schema.json``.

        Raises:
            EvoError: the session cannot be read.
        """
        with self._looking:
            if time.monotonic() - self._looked >= self.interval:
                self._state = dump_json("monitor", self.watch.read().document()).encode()
                self._looked = time.monotonic()
            return self._state


def serve(watch: Watch, host: str, port: int, interval: float) -> None:
    """Serve the session until Ctrl-C.

    Raises:
        UserError: it cannot listen there, or the session does not exist.
    """
    with LiveServer(watch, host, port, interval) as server:
        server.state()
        print(f"live view: {server.url} (Ctrl-C ends it; the session goes on)", file=sys.stderr, flush=True)
        readers = "other users of this host" if server.local else "whoever reaches this address"
        print(f"{readers} can read it: there is no password", file=sys.stderr, flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return


class _Handler(BaseHTTPRequestHandler):
    server: LiveServer
    server_version, sys_version = "ethos-vision-optimizer", ""
    timeout = 30  # seconds, so that a silent client does not hold a thread for ever

    def do_GET(self) -> None:
        if self.server.local and not is_local(self.headers.get("Host", "")):
            # A page of somebody else whose name was pointed at this machine must not read it (DNS rebinding).
            self._send(HTTPStatus.FORBIDDEN, b"This view answers to local names only.\n")
            return
        path = self.path.partition("?")[0]
        if path in PAGES:
            name, kind = PAGES[path]
            self._send(HTTPStatus.OK, (STATIC / name).read_bytes(), kind)
        elif path == "/state.json":
            self._send_state()
        elif path == "/report":
            self._send_report()
        else:
            self._send(HTTPStatus.NOT_FOUND, b"Not found.\n")

    def do_HEAD(self) -> None:
        self.do_GET()

    def _send_state(self) -> None:
        try:
            self._send(HTTPStatus.OK, self.server.state(), "application/json")
        except (EvoError, OSError) as error:
            self._send(HTTPStatus.SERVICE_UNAVAILABLE, f"{error}\n".encode())

    def _send_report(self) -> None:
        report = read_report(SessionLayout(self.server.watch.root).report)
        if report is None:
            self._send(HTTPStatus.NOT_FOUND, b"There is no report yet.\n")
            return
        self._send(HTTPStatus.OK, report, "text/html; charset=utf-8", REPORT_POLICY)

    def _send(
        self, status: HTTPStatus, body: bytes, kind: str = "text/plain; charset=utf-8", policy: str = PAGE_POLICY
    ) -> None:
        self.send_response(status)
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Content-Security-Policy": policy,
            "Cache-Control": "no-store",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing of each request: a page asks every other second."""


def read_report(path: Path) -> bytes | None:
    """Return a report, or None where there is none.

    Only a regular file is served: a link could expose any file of the user, and a named pipe would block the thread.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_REPORT:
            return None
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            return stream.read(MAX_REPORT)
    except OSError:
        return None
    finally:
        os.close(descriptor)


def is_local(host: str) -> bool:
    """Return whether a ``Host`` header names this machine. Its port may be that of a tunnel."""
    name = host.rpartition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
