import pytest

from heedful.core.errors import DataError
from heedful.labelling.api_scopes import SCOPES, check_scopes


def test_known_scopes_pass() -> None:
    check_scopes(SCOPES)
    check_scopes([])


def test_an_unknown_scope_is_named_with_the_nearest() -> None:
    with pytest.raises(DataError, match=r"there is no scope `label:read`[\s\S]*labels:read\?"):
        check_scopes(["labels:read", "label:read"])
