"""The address under which people reach UMS is a host of its own, not a path of another's."""

import pytest

from ums.config import SettingsError, load


@pytest.mark.parametrize("url", ["https://ums.example", "http://ums.example:8080/", ""])
def test_a_host_is_taken(url: str) -> None:
    assert load({"UMS_PUBLIC_URL": url}).public_url == url


@pytest.mark.parametrize("url", ["https://example.com/ums", "https://example.com/ums/"])
def test_a_path_is_refused_and_why(url: str) -> None:
    with pytest.raises(SettingsError, match="cannot be served below a path"):
        load({"UMS_PUBLIC_URL": url})
