"""What the tests of the JSON API share: a site with a project in it, and a researcher's token."""

from collections.abc import Iterator

import pytest

from fakes.api_site import ApiSite, api_site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiSite]:
    """One for all tests of a module; a module whose tests write makes its own."""
    with api_site(tmp_path_factory.mktemp("api")) as found:
        yield found


@pytest.fixture(scope="module")
def headers(site: ApiSite) -> dict[str, str]:
    """The header of a program of the researcher's."""
    return site.token(site.project.demo.researcher.id)
