"""Labellers without a browser, for the load and fault measurements of the labelling server.

Real HTTP over keep-alive connections, written by hand since the clients share the machine's
cores with the server. `labelling_load.py` and `labelling_faults.py` are what one runs.
"""

import asyncio
import json
import random
import re
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

PASSWORD = "correct horse battery"
_BOARD = re.compile(rb'id="board-data">(.*?)</script>', re.DOTALL)
_FORM_TOKEN = re.compile(rb'name="csrf_token" value="([^"]+)"')
_RETRY_SECONDS = 0.2


class UnreachableError(Exception):
    """The server does not answer, or stopped in the middle."""


@dataclass
class Answer:
    """What the server answered."""

    status: int
    headers: dict[str, str]
    cookies: list[str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass
class Journal:
    """What the clients saw; the checks afterwards hold the database against it.

    Attributes:
        seconds: Latencies by route.
        statuses: (route, status) -> how often.
        sent: (login, item) -> the answer that was sent.
        acknowledged: (login, item) -> submission id and status as the server told them.
        claims: (login, item) of every claim that arrived.
    """

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    sent: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    acknowledged: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    claims: list[tuple[str, str]] = field(default_factory=list)
    contradictions: list[str] = field(default_factory=list)
    interrupted: int = 0


class Browser:
    """One keep-alive connection and the cookies of one labeller."""

    def __init__(self, port: int, journal: Journal) -> None:
        self._port, self._journal = port, journal
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self.cookies: dict[str, str] = {}
        self.csrf = ""

    async def send(
        self, route: str, method: str, path: str, body: bytes = b"", kind: str = ""
    ) -> Answer:
        """One request, timed under the name `route`.

        Raises:
            UnreachableError: No answer came.
        """
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        lines = [
            f"{method} {path} HTTP/1.1",
            f"Host: 127.0.0.1:{self._port}",
            "Sec-Fetch-Site: same-origin",
            f"Cookie: {cookies}",
            f"Content-Length: {len(body)}",
        ]
        lines += [f"Content-Type: {kind}"] if kind else []
        lines += [f"X-CSRF-Token: {self.csrf}"] if self.csrf else []
        request = "\r\n".join([*lines, "", ""]).encode() + body
        began = time.perf_counter()
        answer = await self._exchange(request)
        self._journal.seconds[route].append(time.perf_counter() - began)
        self._journal.statuses[route, answer.status] += 1
        return answer

    async def post_json(self, route: str, path: str, value: object) -> Answer:
        """Send JSON as the pages' scripts do."""
        return await self.send(route, "POST", path, json.dumps(value).encode(), "application/json")

    async def _exchange(self, request: bytes) -> Answer:
        reused = self._writer is not None
        if self._reader is not None and self._reader.at_eof():
            await self.close()
            reused = False
        for attempt in (0, 1):
            try:
                if self._writer is None:
                    self._reader, self._writer = await asyncio.open_connection(
                        "127.0.0.1", self._port, limit=1 << 20
                    )
                self._writer.write(request)
                return await self._read()
            except (OSError, asyncio.IncompleteReadError) as error:
                await self.close()
                nothing_came = not getattr(error, "partial", b"")
                # The server had ended an idle connection: browsers try once more, too.
                if attempt == 1 or not reused or not nothing_came:
                    raise UnreachableError(str(error)) from error
        raise AssertionError

    async def _read(self) -> Answer:
        assert self._reader is not None
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers, cookies = {}, []
        for line in head[1:]:
            name, _, value = line.partition(": ")
            if name.lower() == "set-cookie":
                cookies.append(value)
            else:
                headers[name.lower()] = value
        body = await self._reader.readexactly(int(headers.get("content-length", 0)))
        if headers.get("connection", "").lower() == "close":
            await self.close()
        return Answer(int(head[0].split(" ")[1]), headers, cookies, body)

    async def close(self) -> None:
        """End the connection; the next request opens another."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None

    def take_cookies(self, answer: Answer) -> None:
        """Keep the cookies that an answer sets."""
        for cookie in answer.cookies:
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value


class Labeller:
    """Claims, opens, saves, keeps alive and submits ranking tasks until none is left.

    Args:
        think_seconds: Mean of the exponential pause before each request; 0 for none.
        patient: Try again for ever where the server is away, as the pages do.
    """

    def __init__(
        self, login: str, port: int, journal: Journal, *, think_seconds: float, patient: bool
    ) -> None:
        self.login, self._journal = login, journal
        self._browser = Browser(port, journal)
        self._think_seconds, self._patient = think_seconds, patient
        self._random = random.Random(login)

    async def sign_in(self) -> None:
        """Send the sign-in form."""
        browser = self._browser
        page = await browser.send("login page", "GET", "/login")
        browser.take_cookies(page)
        found = _FORM_TOKEN.search(page.body)
        assert found, page.body[:500]
        form = f"login={self.login}&password={PASSWORD.replace(' ', '+')}&next=%2Fwork"
        form += f"&csrf_token={found.group(1).decode()}"
        kind = "application/x-www-form-urlencoded"
        answer = await browser.send("login", "POST", "/login", form.encode(), kind)
        assert answer.status == 303, (answer.status, answer.body[:500])
        browser.take_cookies(answer)
        home = await browser.send("home", "GET", "/work")
        found = _FORM_TOKEN.search(home.body)
        assert found, home.body[:500]
        browser.csrf = found.group(1).decode()

    async def work(self, *, until: asyncio.Event | None = None) -> int:
        """Do tasks until there are none (and, with `until`, it is set); return how many."""
        done = 0
        while True:
            item_id = await self._steadily(self._claim)
            if item_id is None:
                if until is None or until.is_set():
                    break
                await asyncio.sleep(1.0)
                continue
            self._journal.claims.append((self.login, item_id))
            done += await self._steadily(lambda item_id=item_id: self._do(item_id))
        await self._browser.close()
        return done

    async def _steadily(self, step: Any) -> Any:
        while True:
            try:
                return await step()
            except UnreachableError:
                self._journal.interrupted += 1
                if not self._patient:
                    raise
                await asyncio.sleep(_RETRY_SECONDS)

    async def _claim(self) -> str | None:
        await self._think()
        kind = "application/x-www-form-urlencoded"
        answer = await self._browser.send("claim", "POST", "/work/next", b"", kind)
        where = answer.headers.get("location", "")
        return where.rpartition("/")[2] if where.startswith("/work/items/") else None

    async def _do(self, item_id: str) -> bool:
        """One task from opening to sending; False where it was sent before."""
        await self._think()
        path = f"/work/items/{item_id}"
        page = await self._browser.send("open", "GET", path)
        found = _BOARD.search(page.body)
        if found is None:
            # Sent before the server stopped, though the answer did not arrive.
            return False
        task = json.loads(found.group(1))
        answer = self._judge([card["letter"] for card in task["cards"]])
        revision = task["revision"]
        for part in ({"quality": answer["quality"]}, answer):
            await self._think()
            body = {"body": {"answer": part, "at": time.time()}, "base_revision": revision}
            saved = await self._browser.post_json("draft", f"{path}/draft", body)
            revision = saved.json().get("revision", revision)
            if part is not answer:
                await self._think()
                beat = {"token": task["token"], "active_seconds": 1.0}
                await self._browser.post_json("heartbeat", f"{path}/heartbeat", beat)
        await self._think()
        sent = {"answer": answer, "token": task["token"], "seconds_spent": 5.0}
        await self._steadily(lambda: self._submit(item_id, path, sent))
        return True

    async def _submit(self, item_id: str, path: str, sent: dict[str, Any]) -> None:
        key = (self.login, item_id)
        self._journal.sent[key] = sent["answer"]
        told = await self._browser.post_json("submit", f"{path}/submit", sent)
        if told.status != 200:
            return
        result = told.json()
        outcome = (result["submission_id"], result["status"])
        before = self._journal.acknowledged.setdefault(key, outcome)
        if before != outcome:
            self._journal.contradictions.append(f"{key}: {before}, then {outcome}")

    def _judge(self, letters: list[str]) -> dict[str, Any]:
        return {
            "ranks": {letter: self._random.randint(1, len(letters)) for letter in letters},
            "quality": {letter: self._random.randint(1, 7) for letter in letters},
        }

    async def _think(self) -> None:
        if self._think_seconds:
            await asyncio.sleep(self._random.expovariate(1 / self._think_seconds))
