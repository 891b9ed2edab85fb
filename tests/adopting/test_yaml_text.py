"""What is added to YAML text reads as it should, and all else is byte for byte what it was."""

import pytest
from martfeast.adopting.yaml_text import Entry, YamlTextError, added, with_value

ITEM: Entry = [{"local": "a b"}]
VARS: Entry = {"martfeast": {"published_path": "out"}}
CASES: dict[str, tuple[str, tuple[str, ...], Entry, str]] = {
    "an empty text": ("", ("packages",), ITEM, "packages:\n  - local: a b\n"),
    "comments only": (
        "# ours\n",
        ("packages",),
        ITEM,
        "# ours\npackages:\n  - local: a b\n",
    ),
    "no line end": (
        "packages:\n  - package: x",
        ("packages",),
        ITEM,
        "packages:\n  - package: x\n  - local: a b\n",
    ),
    "a list as wide as its key, with comments": (
        "packages: # ours\n# first\n- package: x # one\n  version: 1\n\n# the end\n",
        ("packages",),
        ITEM,
        "packages: # ours\n# first\n- package: x # one\n  version: 1\n- local: a b\n\n# the end\n",
    ),
    "a list on one line": (
        "packages: [{package: x}]  # ours\n",
        ("packages",),
        ITEM,
        "packages: [{package: x}, {local: a b}]  # ours\n",
    ),
    "a list in brackets on several lines": (
        "packages: [\n  {package: x},\n]\n",
        ("packages",),
        ITEM,
        "packages: [\n  {package: x}, {local: a b}\n]\n",
    ),
    "an empty list": (
        "packages: []  # none yet\nx: 1\n",
        ("packages",),
        ITEM,
        "packages:  # none yet\n  - local: a b\nx: 1\n",
    ),
    "a key without a value": (
        "vars:  # ours\nmodels: {}\n",
        ("vars",),
        VARS,
        "vars:  # ours\n  martfeast:\n    published_path: out\nmodels: {}\n",
    ),
    "null": (
        "vars: null\n",
        ("vars",),
        VARS,
        "vars:\n  martfeast:\n    published_path: out\n",
    ),
    "a mapping four spaces in, that ends in a text of several lines": (
        "vars:\n    a:\n        b: |\n            one\n            two\n\nmodels:\n    x: 1\n",
        ("vars",),
        VARS,
        "vars:\n    a:\n        b: |\n            one\n            two\n\n"
        "    martfeast:\n      published_path: out\nmodels:\n    x: 1\n",
    ),
    "a mapping on one line": (
        "vars: {a: 1}\n",
        ("vars",),
        VARS,
        "vars: {a: 1, martfeast: {published_path: out}}\n",
    ),
    "a missing key": (
        "---\nname: x\n# the end\n",
        ("vars",),
        VARS,
        "---\nname: x\nvars:\n  martfeast:\n    published_path: out\n# the end\n",
    ),
    "line ends of Windows": (
        "name: x\r\nvars:\r\n  a: 'é'\r\n",
        ("vars",),
        VARS,
        "name: x\r\nvars:\r\n  a: 'é'\r\n  martfeast:\r\n    published_path: out\r\n",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_added_stands_where_it_belongs(case):
    before, way, entry, after = CASES[case]
    assert added(before, way, entry) == after


@pytest.mark.parametrize(
    "text",
    [
        "vars: [a]\n",
        "vars: text\n",
        "- vars\n",
        "vars: {a\n",
        "a: 1\n---\nvars: {}\n",
        "vars: {a: 1\n  # no more\n  }\n",
        "base: &base {a: 1}\nvars: *base\n",
        "day: 2026-02-30\n",
    ],
)
def test_what_cannot_be_added_to_safely_is_refused(text):
    with pytest.raises(YamlTextError):
        added(text, ("vars",), VARS)


def test_a_value_is_replaced_where_it_stands():
    text = "packages:\n  - local: 'old path'  # ours\n  - local: other\n"
    assert with_value(text, "old path", "new: path") == (
        "packages:\n  - local: 'new: path'  # ours\n  - local: other\n"
    )
