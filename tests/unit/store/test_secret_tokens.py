"""Random tokens and their hashes."""

from heedful.store.secret_tokens import MAX_TOKEN_LENGTH, new_token, token_hash


def test_tokens_are_long_and_differ() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(43 <= len(token) < MAX_TOKEN_LENGTH for token in tokens)
    assert new_token("heedful_").startswith("heedful_")


def test_a_hash_says_nothing_of_its_token_and_takes_any_text() -> None:
    token = new_token()
    assert token not in token_hash(token)
    assert len(token_hash("\ud800 half a pair")) == 64
