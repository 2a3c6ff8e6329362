"""Links from README.md, CONTRIBUTING.md and CHANGELOG.md lead to files; those within docs/ are checked by the site."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_imports import MAY_IMPORT

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"\]\(([^)#\s]+)")


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_lead_to_files(page: str) -> None:
    """Addresses of other hosts are not asked."""
    links = LINK.findall((ROOT / page).read_text(encoding="utf-8"))
    files = [link for link in links if "://" not in link]

    assert links
    assert [file for file in files if not (ROOT / file).exists()] == []


def test_the_site_refuses_broken_links(tmp_path: Path) -> None:
    """To a page, and to a heading of one."""
    pytest.importorskip("mkdocs")
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    broken = "# Index\n\n[away](nowhere.md) [away](glossary.md#no-such-heading)\n"
    (tmp_path / "docs/index.md").write_text(broken, encoding="utf-8")
    settings = f"INHERIT: {ROOT / 'mkdocs.yml'}\ndocs_dir: {tmp_path / 'docs'}\nsite_dir: {tmp_path / 'site'}\n"
    settings += "plugins: []\nnav: [index.md, glossary.md]\n"
    (tmp_path / "mkdocs.yml").write_text(settings, encoding="utf-8")

    command = [sys.executable, "-m", "mkdocs", "build", "--config-file", str(tmp_path / "mkdocs.yml")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert "nowhere.md" in done.stderr
    assert "#no-such-heading" in done.stderr


def test_contributing_has_the_table_of_imports() -> None:
    """The one that tests/test_imports.py holds."""
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*?) \| (.*?) \| .* \|$", page, re.MULTILINE)
    table = {
        folder.rstrip("/"): {name.replace("/", ".") for name in re.findall(r"`(.*?)`", allowed)}
        for folders, allowed in rows
        for folder in re.findall(r"`(.*?)`", folders)
    }

    assert table.pop("services/web") == set()
    assert table == MAY_IMPORT


def test_the_readme_names_every_folder() -> None:
    """One line for each folder with code, and for no other."""
    named = re.findall(r"^(\w+)/ ", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)

    assert [name for name in named if not (ROOT / name).is_dir()] == []
    assert {folder.split("/")[0] for folder in MAY_IMPORT} <= set(named)


def test_files_that_documents_name_exist() -> None:
    """Those in the project's folders; data/ and what is built are not there yet."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    folders = "imagetext|services|indexer|training|gallery|bench|models|scripts|tests|docs"
    path = re.compile(rf"`((?:{folders})/[\w./-]*)`")
    named = {file for page in pages for file in path.findall(page.read_text(encoding="utf-8"))}

    assert named
    assert [file for file in sorted(named) if not (ROOT / file).exists()] == []
