"""The documentation's site: every page is in its navigation, every name of the API exists."""

import re
from pathlib import Path

import pytest
import yaml
from mmengine.utils import import_modules_from_strings

REPO = Path(__file__).resolve().parents[2]
NAMES = re.findall(r"^::: (\S+)$", (REPO / "docs" / "api.md").read_text(), re.MULTILINE)


def pages(nav) -> set[str]:
    if isinstance(nav, str):
        return {nav}
    return set().union(*map(pages, nav.values() if isinstance(nav, dict) else nav))


def test_the_navigation_has_every_page():
    nav = pages(yaml.safe_load((REPO / "mkdocs.yml").read_text())["nav"])
    found = [*REPO.glob("*.md"), *REPO.glob("docs/**/*.md"), *REPO.glob("configs/**/*.md")]
    assert nav == {path.relative_to(REPO).as_posix() for path in found}


@pytest.mark.parametrize("name", NAMES)
def test_names_of_the_api_exist_and_say_what_they_are(name):
    module, _, attribute = name.rpartition(".")
    assert getattr(import_modules_from_strings(module), attribute).__doc__


@pytest.mark.parametrize("page", ["*.md", "docs/*.md", "configs/*/README.md"])
def test_links_lead_to_files(page):
    for path in REPO.glob(page):
        for link in re.findall(r"\]\(([^)#\s]+)", path.read_text()):
            if not re.match(r"https?:", link):
                assert (path.parent / link).exists(), f"{path.relative_to(REPO)}: {link}"
