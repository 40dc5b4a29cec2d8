"""A folder of rules: links are followed, each rule is loaded once, and nothing is overlooked in silence."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rules import RuleError, load_catalogue
from rules.lint.lint import lint

Write = Callable[..., Path]
CASES = [
    {"name": "fires", "events": [{"shipment": {}}], "expect": "yes"},
    {"name": "quiet", "events": [{"shipment": {}}], "expect": "no"},
    {"name": "without a number", "events": [{"shipment": {}}], "expect": "unknown"},
]


def ids(root: Path) -> list[str]:
    return [rule.id for rule in load_catalogue(root).rules]


def errors(root: Path) -> dict[str, str]:
    """What lint finds wrong, by file name."""
    return {Path(found.file).name: found.message for found in lint(root).findings if found.severity == "error"}


def mount(root: Path, target: Path, names: list[str]) -> None:
    """Mount files as Kubernetes mounts a ConfigMap: through links to a folder that is exchanged whole."""
    stamp = target / "..2025_03_05_10_00_00.123"
    for name in names:
        (stamp / name).parent.mkdir(parents=True, exist_ok=True)
        (stamp / name).write_bytes((root / name).read_bytes())
    (target / "..data").symlink_to(stamp.name)
    for top in {name.partition("/")[0] for name in names}:
        (target / top).symlink_to(Path("..data") / top)


def test_a_configmap_with_the_families_in_it(write: Write, tmp_path_factory: pytest.TempPathFactory) -> None:
    write("goods/one", cases=CASES)
    root = write("identity/two", cases=CASES)
    mounted = tmp_path_factory.mktemp("mounted")
    mount(root, mounted, ["goods/one.yaml", "identity/two.yaml"])
    assert ids(mounted) == ids(root) == ["goods.one", "identity.two"]
    assert load_catalogue(mounted).fingerprint == load_catalogue(root).fingerprint
    assert errors(mounted) == {}
    write("goods/one", text="title: [")
    assert all("..data" not in file for file in errors(root))


def test_a_configmap_for_each_family(write: Write, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = write("goods/one")
    write("goods/two")
    mounted = tmp_path_factory.mktemp("mounted")
    (mounted / "goods").mkdir()
    mount(root / "goods", mounted / "goods", ["one.yaml", "two.yaml"])
    assert ids(mounted) == ["goods.one", "goods.two"]
    assert ids(root) == ids(mounted)


def test_a_family_and_a_folder_that_are_links(write: Write, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = write("goods/one")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "mine").mkdir()
    (elsewhere / "mine" / "goods").symlink_to(root / "goods")
    (elsewhere / "rules").symlink_to(elsewhere / "mine")
    assert ids(elsewhere / "rules") == ["goods.one"]


def test_a_family_linked_twice_is_not_two_families(write: Write) -> None:
    root = write("goods/one")
    (root / "again").symlink_to(root / "goods")
    with pytest.raises(RuleError, match="the same as that of again"):
        load_catalogue(root)


def test_a_link_to_a_family_that_is_not_there_is_an_error(write: Write) -> None:
    root = write("goods/one", cases=CASES)
    (root / "mine").symlink_to(root / "nowhere")
    assert list(errors(root)) == ["mine"]
    with pytest.raises(RuleError, match="leads nowhere"):
        load_catalogue(root)


def test_a_link_into_itself_ends(write: Write) -> None:
    root = write("goods/one")
    (root / "goods" / "loop").symlink_to(root)
    assert ids(root) == ["goods.one"]


@pytest.mark.parametrize(
    "name",
    [
        "goods/two.YAML", "goods/two.Yaml", "goods/two.yml", "goods/two.yaml.txt", "goods/two.json", "goods/two.yaml~",
        "goods/two.yaml.bak", "goods/two.yaml.orig", "goods/two.yaml (1)", "goods/two", "goods/two.yalm",
        "goods/two.toml", "goods/deeper/two.yaml", "goods/TWO.yaml", "goods/two-parts.yaml", "Goods/two.yaml",
        "goods 2/two.yaml", "only/two.json", "two.yaml", "two.json",
    ],
)  # fmt: skip
def test_what_would_be_overlooked_is_an_error_that_names_it(write: Write, name: str) -> None:
    root = write("goods/one", cases=CASES)
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((root / "goods" / "one.yaml").read_bytes())
    assert list(errors(root)) == [path.name]
    with pytest.raises(RuleError) as caught:
        load_catalogue(root)
    assert caught.value.file == str(path)


def test_what_is_no_rule_is_left_alone(write: Write) -> None:
    root = write("goods/one", cases=CASES)
    for name in ("README.md", "goods/README.md", "LICENSE", "pages/style.css", "goods/.gitkeep", ".git/x.yaml",
                 ".pre-commit-config.yaml", "rule.schema.json"):  # fmt: skip
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("x")
    assert lint(root).findings == ()
    assert ids(root) == ["goods.one"]


def test_a_hidden_rule_is_a_warning(write: Write) -> None:
    root = write("goods/one", cases=CASES)
    (root / "goods" / ".two.yaml").write_text("x")
    (found,) = lint(root).findings
    assert (found.severity, Path(found.file).name) == ("warning", ".two.yaml")
    assert ids(root) == ["goods.one"]


def test_a_file_that_cannot_be_read_is_named(write: Write) -> None:
    root = write("goods/one", cases=CASES)
    (root / "goods" / "two.yaml").symlink_to("nowhere")
    assert errors(root) == {"two.yaml": "cannot be read: this link leads nowhere"}
    with pytest.raises(RuleError, match=r"goods/two\.yaml: cannot be read: this link leads nowhere"):
        load_catalogue(root)
    (root / "goods" / "two.yaml").unlink()
    os.mkfifo(root / "goods" / "two.yaml")
    assert errors(root) == {"two.yaml": "is not a file"}
    (root / "goods" / "two.yaml").unlink()
    (root / "goods" / "two.yaml").mkdir()
    assert errors(root) == {"two.yaml": "is not a file"}
