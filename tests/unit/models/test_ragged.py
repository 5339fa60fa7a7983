"""Who sees whom, told from the segments one by one."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from heedful.models.ragged import Layout, Segment

CPU = torch.device("cpu")


@st.composite
def rows_of_segments(draw: st.DrawFn) -> list[Segment]:
    """Segments from token 0 on, some of which see a stretch of tokens before them."""
    segments: list[Segment] = []
    place = 0
    for _ in range(draw(st.integers(1, 12))):
        length = draw(st.integers(1, 30))
        prefix_start = prefix = 0
        if place and draw(st.booleans()):
            prefix_start = draw(st.integers(0, place - 1))
            prefix = draw(st.integers(1, place - prefix_start))
        segments.append(Segment(place, length, prefix_start, prefix))
        place += length
    return segments


@given(rows_of_segments(), st.integers(1, 3), st.one_of(st.none(), st.integers(1, 20)))
def test_every_query_sees_its_prefix_and_what_comes_before(
    segments: list[Segment], heads: int, window: int | None
) -> None:
    layout = Layout.of(segments, CPU)
    num_tokens = segments[-1].start + segments[-1].length
    assert (layout.start, layout.stop, layout.num_tokens) == (0, num_tokens, num_tokens)
    found: dict[tuple[int, int], list[int]] = {}
    for group in layout.groups:
        batch = len(group.segments)
        queries = group.query_places(heads, (heads, 1)).view(batch, heads, -1)
        other = group.query_places(heads, (1, num_tokens)).view(batch, heads, -1)
        assert torch.equal(other % num_tokens, queries // heads)
        assert torch.equal(other // num_tokens, queries % heads)
        keys = group.key_places(heads, (heads, 1)).view(batch, heads, -1)
        seen = group.seen(window).expand(batch, 1, -1, -1)[:, 0]
        hidden = group.hidden(window, torch.float32).expand(batch, 1, 1, -1, -1)[:, 0, 0]
        assert torch.equal(hidden == 0, seen)
        rows = group.token_rows(heads).view(-1, heads)
        padding = set(group.padded_places(heads).tolist())
        assert not padding & set(rows.flatten().tolist())
        assert len(padding) + rows.numel() == queries.numel()
        for token, places in enumerate(rows.tolist(), group.start):
            for head, place in enumerate(places):
                row, column = divmod(place // group.queries, heads)[0], place % group.queries
                assert queries[row, head, column] == token * heads + head
                visible = keys[row, head][seen[row, column]]
                assert (visible % heads == head).all()
                found[token, head] = (visible // heads).tolist()
    for segment in segments:
        prefix = range(segment.prefix_start, segment.prefix_start + segment.prefix_length)
        for offset in range(segment.length):
            expected = [*prefix, *range(segment.start, segment.start + offset + 1)]
            expected = expected if window is None else expected[-window:]
            for head in range(heads):
                assert found[segment.start + offset, head] == expected


@given(rows_of_segments(), st.integers(1, 3))
def test_a_keys_gradient_is_gathered_from_every_row_that_holds_it(
    segments: list[Segment], heads: int
) -> None:
    layout = Layout.of(segments, CPU)
    rows, starts = layout.key_bags(heads)
    held = torch.cat([group.key_places(heads, (heads, 1)) for group in layout.groups])
    real = torch.cat(
        [
            (torch.arange(group.keys) < sum(segment[1::2])).repeat(heads)
            for group in layout.groups
            for segment in group.segments
        ]
    )
    ends = [*starts[1:].tolist(), len(rows)]
    for place, (start, end) in enumerate(zip(starts.tolist(), ends, strict=True)):
        expected = torch.nonzero((held == place) & real).flatten().tolist()
        assert sorted(rows[start:end].tolist()) == expected


@given(rows_of_segments(), st.integers(1, 60))
def test_stretches_are_cut_by_length_and_cover_all(segments: list[Segment], longest: int) -> None:
    layout = Layout.of(segments, CPU)
    stretches = layout.stretches(longest)
    assert [group for part in stretches for group in part.groups] == layout.groups
    assert [part.start for part in stretches[1:]] == [part.stop for part in stretches[:-1]]
    for part in stretches:
        assert len({group.keys <= longest for group in part.groups}) == 1
        assert part.num_tokens == layout.num_tokens
        assert part.shared == any(
            segment.prefix_length for g in part.groups for segment in g.segments
        )


def test_similar_lengths_stand_together() -> None:
    lengths = [100, 90, 85, 70, 60, 12, 8, 5, 4, 1]
    starts = [sum(lengths[:n]) for n in range(len(lengths))]
    layout = Layout.of([Segment(*pair) for pair in zip(starts, lengths, strict=True)], CPU)
    found = [[segment.length for segment in group.segments] for group in layout.groups]
    assert found == [[100, 90, 85], [70, 60], [12, 8, 5, 4], [1]]
