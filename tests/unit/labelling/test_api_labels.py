from pathlib import Path

from fakes.api_site import ApiSite
from heedful.data.sources import load_rankings


def test_labels_say_where_they_come_from(site: ApiSite, headers: dict[str, str]) -> None:
    found = site.get("/labels", headers, purpose="evaluation")
    (label,) = found["entries"]
    assert (label["batch"], label["made_by"]) == ("Final", "simulated")
    assert label["ranking"]["ranks"] == [1, 2, 3]
    assert len(label["ratings"]) == 3


def test_labels_come_page_by_page(site: ApiSite, headers: dict[str, str]) -> None:
    names: list[str] = []
    query: dict[str, object] = {"limit": 2, "adjudicated": "keep", "surplus": True}
    while True:
        page = site.get("/labels", headers, **query)
        names += site.project.names([one["submission_id"] for one in page["entries"]])
        if page["next"] is None:
            break
        query["after"] = page["next"]
    assert names == [name for name in site.project.submissions if name != "excluded"]


def test_an_export_is_what_the_trainer_reads(
    site: ApiSite, headers: dict[str, str], tmp_path: Path
) -> None:
    query = {"purpose": "training", "kind": "rankings"}
    answer = site.client.get(f"{site.base}/export", headers=headers, params=query)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    assert answer.headers["content-disposition"] == 'attachment; filename="Demo-stream.jsonl"'
    (tmp_path / "labels.jsonl").write_bytes(answer.content)
    assert len(load_rankings(tmp_path / "labels.jsonl").rankings) == 3
    log = site.get("/audit", headers, action="project.export")["entries"]
    assert log[-1]["detail"] == {"form": "stream", "through": "api"}


def test_preferences_are_a_form_too(site: ApiSite, headers: dict[str, str]) -> None:
    answer = site.client.get(
        f"{site.base}/export",
        headers=headers,
        params={"form": "preference", "batch": site.project.batches["Final"]},
    )
    assert len(answer.text.splitlines()) == 3


def test_a_batch_that_is_not_there_is_no_empty_export(
    site: ApiSite, headers: dict[str, str]
) -> None:
    answer = site.client.get(f"{site.base}/export", headers=headers, params={"batch": "no"})
    assert answer.status_code == 404


def test_agreement_is_that_of_the_team(site: ApiSite, headers: dict[str, str]) -> None:
    found = site.get("/agreement", headers, ties="half")
    assert found["ties"] == "half"
    assert found["num_rankings"] > 0
    assert 0 <= found["overall"]["pairwise"]["value"] <= 1
    assert set(found["labellers"]) >= {site.project.demo.labellers[0].id}
