"""Code hosts' comment APIs, as far as the pipelines use them, on loopback."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

BOT = "github-actions[bot]"
TOKEN = "sentinel-of-the-code-host"


@dataclass
class CodeHost:
    """Comments of one review, and how they may be written.

    Comments are kept in the form of both hosts at once: GitHub's `user.login`, GitLab's `author.id`.
    """

    url: str = ""
    comments: list[dict] = field(default_factory=list)
    may_write: bool = True
    refusal: str = ""  # why what is to be written is refused
    broken: str = ""  # a body that every GET is answered with
    requests: list[tuple[str, str]] = field(default_factory=list)  # (method, path)
    tokens: set[str] = field(default_factory=set)

    def add(self, body: str, login: str = BOT, number: int = 1) -> None:
        for _ in range(number):
            who = 7 if login == BOT else 8
            self.comments.append(
                {"id": len(self.comments) + 100, "body": body, "user": {"login": login}, "author": {"id": who}}
            )

    @property
    def bodies(self) -> list[str]:
        return [comment["body"] for comment in self.comments]

    @property
    def writes(self) -> list[str]:
        return [method for method, _ in self.requests if method != "GET"]

    def answer(self, method: str, path: str, body: str) -> tuple[int, object]:
        split = urlsplit(path)
        self.requests.append((method, split.path))
        if method == "GET":
            return self._get(split.path, parse_qs(split.query))
        if not self.may_write:
            return 403, {"message": "Resource not accessible by integration"}
        if self.refusal:
            return 422, {"message": self.refusal}
        text = json.loads(body)["body"]
        if method == "POST":
            self.add(text)
            return 201, self.comments[-1]
        (number,) = re.findall(r"/(?:comments|notes)/(\d+)$", split.path)
        (edited,) = [comment for comment in self.comments if comment["id"] == int(number)]
        edited["body"] = text
        return 200, edited

    def _get(self, path: str, query: dict[str, list[str]]) -> tuple[int, object]:
        if self.broken:
            return 200, self.broken
        if path.endswith("/user"):
            return 200, {"id": 7}
        size, page = (int(query[name][0]) for name in ("per_page", "page"))
        return 200, self.comments[(page - 1) * size : page * size]


@contextmanager
def code_host() -> Iterator[CodeHost]:
    """A code host that answers until the body ends."""
    host = CodeHost()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            host.tokens.add(self.headers.get("Authorization") or self.headers.get("PRIVATE-TOKEN") or "")
            status, value = host.answer(self.command, self.path, body)
            data = value.encode() if isinstance(value, str) else json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_PUT = answer  # noqa: N815 - the names that http.server looks for

        def log_message(self, *_arguments: object) -> None:
            """Nothing on standard error."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        host.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield host
        finally:
            server.shutdown()
            thread.join()
