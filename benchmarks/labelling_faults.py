"""Kills the labelling server at random moments under load, and looks for what was lost.

    python benchmarks/labelling_faults.py --database sqlite --kills 20 --out faults.json

The clients try again, as the pages do. After each kill, with the server dead: every label
that was acknowledged before is in the database, none twice, and no lease reaches further
than its length. At the end all slots must have been filled: none stayed locked.
"""

import argparse
import asyncio
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

from labelling_clients import Journal, Labeller
from labelling_load import ServerProcess, check, database_at, machine, prepare, sign_in_all
from sqlalchemy import select

from heedful.core.jsonl import write_json_atomic
from heedful.store.columns import utc_now
from heedful.store.database import Database, open_database
from heedful.store.tables import SlotRow, SubmissionRow


def main() -> None:
    """Prepare, kill and restart, check, report; exit status 1 where a check failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--database", default="sqlite", help="sqlite, postgresql or a URL")
    parser.add_argument("--labellers", type=int, default=50)
    parser.add_argument("--items", type=int, default=500, help="of 4 outputs and 4 slots each")
    parser.add_argument("--think-seconds", type=float, default=0.5)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--lease-seconds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    parser.add_argument("--out", type=Path, help="where to write the numbers as JSON")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, database_at(arguments.database, folder) as url:
        prepare(
            url,
            items=arguments.items,
            labellers=arguments.labellers,
            lease_seconds=arguments.lease_seconds,
        )
        server = ServerProcess(url, Path(folder))
        try:
            journal, kills = asyncio.run(_kill_and_restart(server, url, arguments))
        finally:
            server.stop()
        report = {
            "machine": machine(url),
            "settings": {key: str(value) for key, value in vars(arguments).items()},
            "kills": kills,
            "requests_without_answer": journal.interrupted,
            "checks": check(url, journal),
            "server_log": server.complaints(),
        }
    wrong = report["checks"]["must_be_0"]
    wrong["slots never filled"] = report["checks"]["slots"] - report["checks"]["slots_done"]
    wrong["faults found after a kill"] = sum(len(kill["faults"]) for kill in kills)
    wrong["kills that were not made"] = arguments.kills - len(kills)
    if arguments.out:
        write_json_atomic(arguments.out, report)
    for number, kill in enumerate(kills, start=1):
        sys.stdout.write(f"kill {number}: {kill}\n")
    sys.stdout.write(f"{report['machine']}\n{report['checks']}\n{report['server_log']}\n")
    sys.exit(0 if all(value == 0 for value in wrong.values()) else 1)


async def _kill_and_restart(
    server: ServerProcess, url: str, arguments: argparse.Namespace
) -> tuple[Journal, list[dict[str, Any]]]:
    journal, moments = Journal(), random.Random(arguments.seed)
    labellers = [
        Labeller(
            f"labeller{number}",
            server.port,
            journal,
            think_seconds=arguments.think_seconds,
            patient=True,
        )
        for number in range(arguments.labellers)
    ]
    await sign_in_all(labellers)
    all_filled = asyncio.Event()
    tasks = [asyncio.create_task(one.work(until=all_filled)) for one in labellers]
    kills: list[dict[str, Any]] = []
    for _ in range(arguments.kills):
        await asyncio.sleep(moments.uniform(0.3, 3.0))
        before, waiting = dict(journal.acknowledged), journal.interrupted
        if len(before) == 4 * arguments.items:
            break  # nothing left to disturb: the report says so
        server.kill()
        faults, leased = await asyncio.to_thread(
            _faults, url, before, timedelta(seconds=arguments.lease_seconds)
        )
        began = time.monotonic()
        await asyncio.to_thread(server.start)
        kills.append(
            {
                "acknowledged": len(before),
                "leased": leased,
                "restart_seconds": round(time.monotonic() - began, 2),
                "interrupted": journal.interrupted - waiting,
                "faults": faults,
            }
        )
    # Whoever lost a task to a kill takes it up again, or its lease ends and others do.
    limit = time.monotonic() + 60 + 40 * arguments.lease_seconds
    while time.monotonic() < limit and await asyncio.to_thread(_unfilled, url):
        await asyncio.sleep(1.0)
    all_filled.set()
    await asyncio.gather(*tasks)
    return journal, kills


def _faults(
    url: str, acknowledged: dict[tuple[str, str], tuple[str, str]], lease: timedelta
) -> tuple[list[str], int]:
    """What is wrong in the database while no server runs, and how many leases it holds."""
    faults: list[str] = []
    with open_database(url) as database, database.read() as session:
        now = utc_now()
        ids = session.scalars(select(SubmissionRow.id)).all()
        faults += [f"lost: {name}" for name, _ in acknowledged.values() if name not in set(ids)]
        twice = Counter(
            map(tuple, session.execute(select(SubmissionRow.item_id, SubmissionRow.account_id)))
        )
        faults += [f"twice: {pair}" for pair, times in twice.items() if times > 1]
        slots = session.scalars(select(SlotRow).where(SlotRow.state == "leased")).all()
        faults += [
            f"locked beyond its lease: {slot.id}"
            for slot in slots
            if slot.lease_expires_at is None or slot.lease_expires_at > now + lease
        ]
        path = database.path
    if path is not None:
        connection = sqlite3.connect(path)
        whole = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
        connection.close()
        faults += [] if whole == "ok" else [f"damaged: {whole}"]
    return faults, len(slots)


def _unfilled(url: str) -> bool:
    with Database(url) as database, database.read() as session:
        return (
            session.scalar(select(SlotRow.id).where(SlotRow.state != "done").limit(1)) is not None
        )


if __name__ == "__main__":
    main()
