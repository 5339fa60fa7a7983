import base64
import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heedful.core.errors import DataError
from heedful.labelling.api_models import NewCompletion, NewPrompt, cursor_from, cursor_text

MOMENTS = st.datetimes(timezones=st.just(UTC))


@given(MOMENTS, st.text())
def test_a_cursor_comes_back(at: datetime, record_id: str) -> None:
    if any(0xD800 <= ord(letter) < 0xE000 for letter in record_id):
        return
    assert cursor_from(cursor_text(at, record_id)) == (at, record_id)


@given(st.text(min_size=1) | st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_anything_else_is_refused_in_words(text: str) -> None:
    with contextlib.suppress(DataError):
        found = cursor_from(text)
        assert found is None or found.submitted_at.tzinfo is not None


@pytest.mark.parametrize("at", ["2026-11-01T00:00:00", "yesterday", "9999-99-99T00:00:00+00:00"])
def test_a_place_without_a_moment_is_none(at: str) -> None:
    text = base64.urlsafe_b64encode(f'{{"at": "{at}", "id": "x"}}'.encode()).decode()
    with pytest.raises(DataError, match="no place in this list"):
        cursor_from(text)


def test_ids_follow_from_content_and_project() -> None:
    prompt = NewPrompt(instruction="x", consent=True)
    assert prompt.record("p").id == prompt.record("p").id != prompt.record("q").id
    assert prompt.record("p").text_hash
    named = NewPrompt(instruction="x", consent=True, id="mine")
    assert named.record("p").id == "mine"
    one, other = (
        NewCompletion(prompt_id="p", text=text, checkpoint_id="m").record() for text in "ab"
    )
    assert one.id != other.id
