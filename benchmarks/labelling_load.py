"""Many labellers at once on a real server: latencies, throughput, and whether all adds up.

    python benchmarks/labelling_load.py --database sqlite --out load.json
    python benchmarks/labelling_load.py --database postgresql --no-think

Each labeller claims a task, opens it, saves two drafts and a heartbeat, and submits, with an
exponential pause before each request. Clients and server share the machine. `postgresql`
starts a server of its own, with its usual durability; a URL uses the empty database there.
"""

import argparse
import asyncio
import json
import os
import platform
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from labelling_clients import PASSWORD, Journal, Labeller
from sqlalchemy import func, select

from heedful.core.jsonl import write_json_atomic
from heedful.core.records import Completion, Prompt, text_hash
from heedful.store.access import create_account
from heedful.store.batches import ItemSpec, create_batch
from heedful.store.contents import add_completions, add_prompts
from heedful.store.database import Database, open_database
from heedful.store.passwords import hashed
from heedful.store.projects import PURPOSES, add_member, create_project
from heedful.store.tables import AccountRow, RankingRow, RatingRow, SlotRow, SubmissionRow

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from fakes.databases import start_server

TASK_ROUTES = ("claim", "open", "draft", "heartbeat", "submit")
WORDS = "the harbour lay still while two friends carried their lamp along the old sea wall"


def main() -> None:
    """Prepare, measure, check, report; exit status 1 where a check failed."""
    arguments = _arguments().parse_args()
    with tempfile.TemporaryDirectory() as folder, database_at(arguments.database, folder) as url:
        prepare(url, items=arguments.items, labellers=arguments.labellers)
        server = ServerProcess(url, Path(folder))
        try:
            journal, seconds, logins = asyncio.run(_load(server, arguments))
            usage = server.usage()
        finally:
            server.stop()
        report = {
            "settings": {
                key: getattr(arguments, key) for key in ("labellers", "items", "think_seconds")
            },
            "machine": machine(url),
            "logins": logins,
            "load": {"seconds": round(seconds, 2), "server": usage, **summary(journal, seconds)},
            "checks": check(url, journal),
            "server_log": server.complaints(),
        }
    show(report)
    if arguments.out:
        write_json_atomic(arguments.out, report)
    sys.exit(0 if all(value == 0 for value in report["checks"]["must_be_0"].values()) else 1)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--database", default="sqlite", help="sqlite, postgresql or a URL")
    parser.add_argument("--labellers", type=int, default=50)
    parser.add_argument("--items", type=int, default=1250, help="of 4 outputs and 4 slots each")
    parser.add_argument("--think-seconds", type=float, default=1.0)
    parser.add_argument("--no-think", action="store_const", const=0.0, dest="think_seconds")
    parser.add_argument("--out", type=Path, help="where to write the numbers as JSON")
    return parser


async def _load(
    server: "ServerProcess", arguments: argparse.Namespace
) -> tuple[Journal, float, dict[str, Any]]:
    journal = Journal()
    labellers = [
        Labeller(
            f"labeller{number}",
            server.port,
            journal,
            think_seconds=arguments.think_seconds,
            patient=False,
        )
        for number in range(arguments.labellers)
    ]
    await sign_in_all(labellers)
    logins = {
        route: spread(journal.seconds.pop(route)) for route in ("login page", "login", "home")
    }
    began = time.perf_counter()
    await asyncio.gather(*(labeller.work() for labeller in labellers))
    return journal, time.perf_counter() - began, logins


async def sign_in_all(labellers: list[Labeller], at_once: int = 4) -> None:
    """Sign everybody in, a few at a time: hashing passwords is meant to be slow."""
    gate = asyncio.Semaphore(at_once)

    async def one(labeller: Labeller) -> None:
        async with gate:
            await labeller.sign_in()

    await asyncio.gather(*map(one, labellers))


@contextmanager
def database_at(choice: str, folder: str) -> Iterator[str]:
    """The URL of an empty database of the chosen kind."""
    if choice == "sqlite":
        yield f"sqlite:///{folder}/labels.db"
    elif choice == "postgresql":
        running = start_server(durable=True)
        try:
            yield running.fresh(empty=True)
        finally:
            running.close()
    else:
        yield choice


def prepare(url: str, *, items: int, labellers: int, lease_seconds: int = 1800) -> None:
    """A project with an open batch of rankings of 4 outputs, each wanted from 4 labellers."""
    with open_database(url, migrate=True) as database, database.write() as session:
        texts = dict.fromkeys(PURPOSES, "# How to rank\n\nPut the most helpful first.\n" * 20)
        project = create_project(session, name="Load", instructions=texts, created_by=None)
        secret = hashed(PASSWORD, login="nobody")
        for number in range(labellers):
            account = create_account(
                session,
                login=f"labeller{number}",
                name=f"Labeller {number}",
                role="labeller",
                password=secret,
            )
            add_member(session, project_id=project.id, account_id=account.id, stage="working")
        prompts = [_prompt(number) for number in range(items)]
        outputs = [_output(prompt, letter) for prompt in prompts for letter in "abcd"]
        add_prompts(session, project.id, prompts)
        add_completions(session, project.id, outputs)
        create_batch(
            session,
            project_id=project.id,
            name="Load",
            kind="ranking",
            purpose="training",
            items=[ItemSpec(p.id, [f"{p.id}-{letter}" for letter in "abcd"]) for p in prompts],
            overlap=4,
            lease_seconds=lease_seconds,
            state="open",
        )


def _prompt(number: int) -> Prompt:
    text = f"Tell story {number}: {WORDS}."
    return Prompt(
        id=f"prompt-{number}",
        text_hash=text_hash(text),
        instruction=text,
        source="load",
        user_id=f"user-{number}",
        consent=True,
    )


def _output(prompt: Prompt, letter: str) -> Completion:
    text = f"Output {letter} of {prompt.id}. " + f"{WORDS}. " * 6
    return Completion(
        id=f"{prompt.id}-{letter}", prompt_id=prompt.id, text=text, checkpoint_id=f"model-{letter}"
    )


class ServerProcess:
    """`heedful label serve` as a process of its own, which can be killed."""

    def __init__(self, url: str, folder: Path) -> None:
        self._url, self._log = url, folder / "server.log"
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = int(listener.getsockname()[1])
        self.start()

    def start(self) -> None:
        """Start it on the same port as before and wait until it answers."""
        command = [sys.executable, "-m", "heedful", "label", "serve", "--port", str(self.port)]
        environment = {**os.environ, "HEEDFUL_DATABASE": self._url}
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        limit = time.monotonic() + 60
        while time.monotonic() < limit and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=5):
                    return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError(f"the server did not start:\n{self._log.read_text()[-3000:]}")

    def usage(self) -> dict[str, float]:
        """Processor seconds and peak memory so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        ticks = os.sysconf("SC_CLK_TCK")
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        peak = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
        return {
            "cpu_seconds": round((int(fields[11]) + int(fields[12])) / ticks, 2),
            "peak_mb": round(int(peak) / 1024, 1),
        }

    def kill(self) -> None:
        """End it at once, without a chance to finish anything."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """End it as an administrator would."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(timeout=60)

    def complaints(self) -> list[str]:
        """Errors that the server wrote to its log, the first few."""
        lines = self._log.read_text().splitlines()
        return [line for line in lines if "Error" in line or "Traceback" in line][:10]


def check(url: str, journal: Journal) -> dict[str, Any]:
    """Hold the database against what the clients were told."""
    with open_database(url) as database, database.read() as session:
        logins = dict(session.execute(select(AccountRow.id, AccountRow.login)).all())
        stored = {
            (logins[row.account_id], row.item_id): row
            for row in session.scalars(select(SubmissionRow))
        }
        slots = session.scalars(select(SlotRow)).all()
        rankings = Counter(session.scalars(select(RankingRow.submission_id)))
        ratings = Counter(session.scalars(select(RatingRow.submission_id)))
        total = session.scalar(select(func.count()).select_from(SubmissionRow))
    told = journal.acknowledged
    lost = [key for key, (name, _) in told.items() if key not in stored or stored[key].id != name]
    changed = [
        key
        for key, row in stored.items()
        if key in journal.sent
        and any(row.answer[part] != value for part, value in journal.sent[key].items())
    ]
    halves = [row.id for row in stored.values() if rankings[row.id] != 1 or ratings[row.id] != 4]
    pairs = Counter((slot.item_id, slot.labeller_id) for slot in slots if slot.labeller_id)
    used = Counter(row.slot_id for row in stored.values() if row.slot_id)
    whose = {slot.id: slot.labeller_id for slot in slots}
    errors = sum(count for (_, status), count in journal.statuses.items() if status >= 500)
    refused = sum(count for (_, status), count in journal.statuses.items() if 400 <= status < 500)
    return {
        "must_be_0": {
            "double assignments": sum(n > 1 for n in pairs.values())
            + sum(n > 1 for n in used.values())
            + sum(whose[row.slot_id] != row.account_id for row in stored.values() if row.slot_id),
            "lost labels": len(lost),
            "changed labels": len(changed),
            "incomplete labels": len(halves),
            "duplicated labels": (total or 0) - len(stored),
            "contradictory answers": len(journal.contradictions),
            "server errors": errors,
        },
        "slots": len(slots),
        "slots_done": sum(slot.state == "done" for slot in slots),
        "acknowledged": len(told),
        "stored": len(stored),
        "surplus": sum(row.status == "surplus" for row in stored.values()),
        "refused_requests": refused,
    }


def summary(journal: Journal, seconds: float) -> dict[str, Any]:
    """Latencies by route and overall, and how much was done."""
    every = [one for route in TASK_ROUTES for one in journal.seconds.get(route, [])]
    return {
        "requests_per_second": round(len(every) / seconds, 1),
        "labels_per_second": round(len(journal.acknowledged) / seconds, 2),
        "routes": {
            route: spread(journal.seconds[route])
            for route in TASK_ROUTES
            if journal.seconds.get(route)
        }
        | {"overall": spread(every)},
        "statuses": {
            f"{route} {status}": n for (route, status), n in sorted(journal.statuses.items())
        },
    }


def spread(seconds: list[float]) -> dict[str, float]:
    """Count and quantiles in milliseconds."""
    ordered = sorted(seconds)
    at = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    last = len(ordered) - 1
    return (
        {"count": len(ordered)}
        | {
            name: round(ordered[min(last, int(part * len(ordered)))] * 1000, 1)
            for name, part in at.items()
        }
        | {"max": round(ordered[-1] * 1000, 1)}
    )


def machine(url: str) -> dict[str, str]:
    """What the numbers depend on."""
    with Database(url) as database, database.read() as session:
        version = sqlite3.sqlite_version
        if not database.is_sqlite:
            version = str(session.scalar(select(func.version()))).split(" (")[0]
    return {
        "cores": str(len(os.sched_getaffinity(0))),
        "python": platform.python_version(),
        "database": f"SQLite {version}" if database.is_sqlite else version,
    }


def show(report: dict[str, Any]) -> None:
    """Write what one wants to know first to standard output."""
    load = report["load"]
    table = {f"login: {name}": row for name, row in report["logins"].items()} | load["routes"]
    lines = [json.dumps({"machine": report["machine"], "settings": report["settings"]})]
    lines += [f"{'milliseconds':<18}{'count':>8}{'p50':>9}{'p95':>9}{'p99':>9}{'max':>9}"]
    for name, row in table.items():
        cells = "".join(f"{row[key]:>9}" for key in ("p50", "p95", "p99", "max"))
        lines.append(f"{name:<18}{row['count']:>8}{cells}")
    lines.append(
        f"{load['labels_per_second']} labels/s, {load['requests_per_second']} requests/s, "
        f"{load['seconds']} s, server {load['server']}"
    )
    lines.append(json.dumps(report["checks"], indent=2))
    lines += [f"server: {line}" for line in report["server_log"]]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
