"""Lines of keys and list items in YAML, or of the nearest thing above them."""

import pytest
from martfeast.places import find_line

MODELS = """\
version: 2
models:
  - name: first
  - name: second
    config:
      meta:
        feast: {ttl: 1 day,
                online: true}
    columns:
      - name: a
        meta:
          feast:
            entity: x
"""


@pytest.mark.parametrize(
    ("steps", "line"),
    [
        ([("models", "second")], 4),
        ([("models", "second"), "config", "meta", "feast", "online"], 8),
        ([("models", "second"), "config", "meta", "feast", "timestamp"], 7),
        ([("models", "second"), ("columns", "a"), "config", "meta", "feast", "entity"], 13),
        ([("models", "second"), ("columns", "b")], 4),
        ([("models", "third")], None),
        ([("exposures", "e")], None),
    ],
)
def test_find_line(tmp_path, steps, line):
    file = tmp_path / "models.yml"
    file.write_text(MODELS)
    assert find_line(file, steps) == line


@pytest.mark.parametrize("content", [b"a: [", b"\xff", b"", b"- 1"])
def test_a_file_that_has_no_such_line(tmp_path, content):
    file = tmp_path / "models.yml"
    file.write_bytes(content)
    assert find_line(file, [("models", "a")]) is None
    assert find_line(tmp_path / "missing.yml", ["models"]) is None
