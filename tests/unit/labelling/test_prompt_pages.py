"""Pages of prompts: the list with filters, one prompt, bringing a file in."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from fakes.labeller_pages import ORIGIN, Pages, labeller_pages
from heedful.labelling.cookies import csrf_token
from heedful.store.tables import AuditRow, CompletionRow, PromptRow


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    with labeller_pages(tmp_path_factory.mktemp("site")) as opened:
        yield opened


def base(pages: Pages) -> str:
    return f"/projects/{pages.life.project.id}/prompts"


def count(pages: Pages, table: type[PromptRow] | type[CompletionRow]) -> int:
    with pages.database.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def upload(pages: Pages, login: str, name: str, content: bytes, **form: Any) -> httpx.Response:
    pages.get(login, "/settings")
    return pages.client.post(
        f"{base(pages)}/import",
        data={"csrf_token": csrf_token(pages.tokens[login]), **form},
        files={"file": (name, content)},
        headers={"Origin": ORIGIN},
    )


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", "6 prompts"),
        ("?sensitive=yes", "1 prompt<"),
        ("?text=sourdough", "1 prompt<"),
        ("?unused=training", "No such prompt"),
        ("?written=yes", "No such prompt"),
        ("?tag=sensitive&page=1", "1 prompt<"),
    ],
)
def test_prompts_are_listed_and_filtered(pages: Pages, query: str, found: str) -> None:
    assert found in pages.get("researcher", base(pages) + query).text


def test_filters_are_an_allow_list(pages: Pages) -> None:
    assert pages.get("researcher", f"{base(pages)}?author_id=x").status_code == 422
    strange = pages.get("researcher", f"{base(pages)}?source=x&tag=y&sensitive=z")
    assert strange.status_code == 422
    assert "choose one of the list" in strange.text


def test_a_prompt_shows_its_completions_and_uses(pages: Pages) -> None:
    text = pages.get("researcher", f"/prompts/{pages.life.prompts['bread'].id}").text
    for words in ("sourdough bread", "model-9", "Nine outputs, item 1", "Consent to training"):
        assert words in text
    assert pages.get("ana", f"/prompts/{pages.life.prompts['bread'].id}").status_code == 404


def test_a_file_is_brought_in(pages: Pages) -> None:
    rows = [
        {"prompt": "Which is taller?", "chosen": "The <i>tower</i>.", "rejected": "The house."},
        {"prompt": "Which is wider?", "chosen": "The river.", "rejected": "The stream."},
    ]
    content = "\n".join(json.dumps(row) for row in rows).encode()
    before = count(pages, PromptRow), count(pages, CompletionRow)
    answer = upload(pages, "researcher", "../../etc/my pairs.jsonl", content, licence="CC0")
    assert answer.status_code == 303, answer.text
    assert (count(pages, PromptRow), count(pages, CompletionRow)) == (before[0] + 2, before[1] + 4)
    with pages.database.read() as session:
        line = session.scalars(select(AuditRow).where(AuditRow.action == "project.import")).one()
    assert line.detail["file"] == "my-pairs.jsonl"
    assert line.account_id == pages.id_of("researcher")
    text = pages.client.get(answer.headers["location"]).text
    assert "prompts: 2 new" in text
    assert "Not imported, since labels were not asked for" in text


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.exe", b"MZ", "must end in one of"),
        ("x.jsonl", b"", "x.jsonl: holds no rows. Check"),
        ("x.jsonl", b'{"prompt": ', "not valid JSON"),
        ("x.jsonl", b"\xff\xfe", "not UTF-8"),
        ("", b"", "Choose a file"),
    ],
)
def test_what_cannot_be_read_is_explained_without_paths(
    pages: Pages, name: str, content: bytes, words: str
) -> None:
    before = count(pages, PromptRow)
    answer = upload(pages, "researcher", name, content)
    assert answer.status_code == 422
    assert words in answer.text
    assert "heedful-import-" not in answer.text
    assert count(pages, PromptRow) == before


def test_only_researchers_bring_files_in(pages: Pages) -> None:
    assert upload(pages, "ana", "x.jsonl", b"{}").status_code == 404
    assert upload(pages, "reviewer", "x.jsonl", b"{}").status_code == 403
    assert "told by its columns" in pages.get("researcher", f"{base(pages)}/import").text
