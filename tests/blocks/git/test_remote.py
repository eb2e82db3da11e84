"""Addresses of repositories, compared."""

from __future__ import annotations

import pytest

from blocks.git.remote import plain_remote


@pytest.mark.parametrize(
    "url",
    [
        "https://git.example.com/shop/deploy.git",
        "https://GIT.example.com:443/Shop//deploy/",
        "http://git.example.com/shop/%64eploy",
        "https://git.example.com/shop/other/../deploy",
        "ssh://git@git.example.com:22/shop/deploy.git",
        "git@git.example.com:shop/deploy.git",
        "https://git.example.com/Shop/Deploy",
    ],
)
def test_two_addresses_of_one_repository_are_one(url: str) -> None:
    """By https or ssh, with or without what most servers leave out."""
    assert plain_remote(url) == "git.example.com/shop/deploy"


def test_other_repositories_are_others() -> None:
    """By host and path; a folder of this machine is one, too."""
    urls = [
        "https://a.example.com/shop",
        "https://b.example.com/shop",
        "https://a.example.com:8443/shop",
        "https://a.example.com/x",
        "file:///srv/shop",
        "file:///srv/Shop",
        "git@c:shop.git",
    ]
    assert len({plain_remote(url) for url in urls}) == len(urls)
