from fakes.api_site import ApiSite
from fakes.labelling_store import demo_batch, demo_project
from fakes.sent_work import items_of
from heedful.core.records import new_id
from heedful.store.columns import utc_now
from heedful.store.tables import QuestionRow


def question(site: ApiSite, project_id: str, batch_id: str, account_id: str) -> str:
    from heedful.store.tables import BatchRow

    with site.database.write() as session:
        row = QuestionRow(
            id=new_id("question"),
            project_id=project_id,
            item_id=items_of(session, session.get_one(BatchRow, batch_id))[0].id,
            account_id=account_id,
            text="What is meant?",
            asked_at=utc_now(),
        )
        session.add(row)
    return row.id


def test_labellers_come_with_their_numbers(site: ApiSite, headers: dict[str, str]) -> None:
    found = {one["account_id"]: one for one in site.get("/labellers", headers)["entries"]}
    two = found[site.project.demo.labellers[1].id]
    assert (two["stage"], two["held_out"], two["excluded"]) == ("working", False, 1)
    assert two["hours"] > 0
    assert "password_hash" not in two


def test_a_question_is_answered_once_and_can_be_corrected(
    site: ApiSite, headers: dict[str, str]
) -> None:
    demo = site.project.demo
    one = question(site, demo.id, site.project.batches["Training"], demo.labellers[0].id)
    assert [q["id"] for q in site.get("/questions", headers, answered=False)["entries"]] == [one]
    for text in ("This.", "No, that."):
        answer = site.client.post(
            f"{site.base}/questions/{one}/answer", headers=headers, json={"text": text}
        )
        assert answer.json()["answer"] == text
    (told,) = site.get("/questions", headers, answered=True)["entries"]
    assert told["answered_by"] == demo.researcher.id


def test_a_question_of_another_project_is_not_there(site: ApiSite) -> None:
    with site.database.write() as session:
        other = demo_project(session, name="Other")
        batch = demo_batch(session, other)
    theirs = question(site, other.id, batch.id, other.labellers[0].id)
    admin = site.token(site.project.demo.admin.id)
    answer = site.client.post(
        f"{site.base}/questions/{theirs}/answer", headers=admin, json={"text": "x"}
    )
    assert answer.status_code == 404


def test_the_audit_log_comes_page_by_page(site: ApiSite, headers: dict[str, str]) -> None:
    whole = site.get("/audit", headers, limit=500)["entries"]
    assert {"project.create", "batch.create", "label.exclude"} <= {one["action"] for one in whole}
    first = site.get("/audit", headers, limit=3)
    rest = site.get("/audit", headers, after=first["next"], limit=500)
    assert first["entries"] + rest["entries"] == whole
    excluded = site.get("/audit", headers, action="label.exclude")["entries"]
    assert [one["detail"]["reason"] for one in excluded] == ["too fast"]
