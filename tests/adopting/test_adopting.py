"""A stranger's project, taken from its first `dbt build` to a dataset's card as the docs say."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from conftest import REPOSITORY, Library
from martfeast.datasets.record import DatasetRecord

PAGE = (REPOSITORY / "docs/adopting.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def patch(folder: Path, diff: str) -> None:
    """Apply a diff whose hunks have no line numbers: what they are about must be there once."""
    head, *hunks = re.split(r"^@@\n", diff, flags=re.MULTILINE)
    file = folder / head.splitlines()[1].removeprefix("+++ b/")
    text = file.read_text()
    for hunk in hunks:
        lines = hunk.splitlines(keepends=True)
        before = "".join(line[1:] for line in lines if line[0] != "+")
        after = "".join(line[1:] for line in lines if line[0] != "-")
        assert text.count(before) == 1, f"{file} does not have once:\n{before}"
        text = text.replace(before, after)
    file.write_text(text)


@pytest.mark.slow
def test_the_way_of_the_docs_ends_in_a_card(tmp_path):
    shop = Library(tmp_path / "shop")
    shutil.copytree(REPOSITORY / "tests/projects/shop", shop.path)
    assert "martfeast" not in "".join(
        file.read_text() for file in shop.path.rglob("*") if file.is_file()
    )
    ran = []
    for kind, text in BLOCKS:
        if kind == "diff":
            patch(shop.path, text)
        elif kind == "sh":
            for line in filter(None, (shlex.split(one, comments=True) for one in text.split("\n"))):
                result = shop.run(*line)
                assert result.returncode == 0, f"{line}\n{result.stdout}{result.stderr}"
                ran.append((line[:2], result.stdout))
        else:
            name = text.split("\n", 1)[0].split()[1]
            (shop.path / name).write_text(text)
    said = {" ".join(line): output for line, output in ran}
    assert "customer_payments could be a mart: a table under marts/" in said["martfeast init"]
    assert "data_type: integer" in said["martfeast init"]  # which dbt's catalog tells
    assert "customers cannot be a mart yet" in said["martfeast init"]
    dataset = shop.path / "data/datasets/late_payment/0001"
    assert "Late payment, version 1" in (dataset / "card.html").read_text()
    record = DatasetRecord.read(dataset / "dataset.json")
    assert [step.rows for step in record.steps][-1] == 514  # payments, each of an order
    assert init_again(shop) == "Everything is set up; nothing was changed."


def init_again(shop: Library) -> str:
    return shop.martfeast("init", "--yes", cwd=shop.path).stdout.splitlines()[0]
