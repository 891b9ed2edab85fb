"""The command: its help is whole, and it imports what it uses and no more."""

import re
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner
from martfeast.cli import main

COMMANDS = (
    "init",
    "status",
    "prune",
    "materialize",
    "reroot",
    "replay",
    "dataset",
    "drift",
    "emit",
    "site",
    "find",
    "lineage",
    "diff",
)
HEAVY = {"feast", "duckdb", "pandas", "numpy", "pyarrow", "dbt", "scipy", "jinja2", "pydantic"}


def imported_by(*arguments: str, cwd=None) -> tuple[set[str], str]:
    """The top-level modules that a command imports, and what it printed."""
    code = f"import sys; sys.argv = ['martfeast', *{list(arguments)}]\n" + (
        "from martfeast.cli import main\n"
        "try:\n    main()\n"
        "finally:\n    print('modules:', *{name.split('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
    return set(done.stdout.split("modules:")[1].split()), done.stdout + done.stderr


def test_the_help_tells_every_command_in_a_whole_line():
    lines = CliRunner().invoke(main, ["--help"]).output.splitlines()
    told = [line for line in lines if re.match(rf"  ({'|'.join(COMMANDS)}) ", line)]
    assert len(told) == len(COMMANDS)
    assert all(line.endswith(".") and not line.endswith("...") for line in told)
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_is_there(command):
    result = CliRunner().invoke(main, [command, "--help"])
    assert result.exit_code == 0
    assert "--project-dir" in result.output
    documented = main.commands[command]
    for parameter in documented.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["replay", "--help"]])
def test_help_imports_nothing_that_is_slow(arguments):
    modules, _ = imported_by(*arguments)
    assert "click" in modules
    assert not HEAVY & modules


def test_what_is_refused_by_its_name_does_not_wait_for_feast(built_library):
    for arguments, said in (
        (["dataset", "overdue_predicton"], "Did you mean 'overdue_prediction'?"),
        (["drift", "overdue_prediction/9", "overdue_prediction/8"], "There is no such dataset."),
        (["replay", "--select", "loans"], "There is no such mart."),
    ):
        modules, output = imported_by(*arguments, cwd=built_library.path)
        assert said in " ".join(output.split())
        assert not {"feast", "dbt", "pandas"} & modules, arguments


def test_status_without_a_feature_repo_takes_neither_feast_nor_an_engine(library):
    (library.path / "feature_repo/feature_store.yaml").unlink()
    modules, output = imported_by("status", cwd=library.path)
    assert "ready: 2 feature views" in output
    assert not {"feast", "duckdb", "pandas", "dbt", "scipy", "jinja2"} & modules
    modules, output = imported_by("status", "title_availability", "--json", cwd=library.path)
    assert '"is_ready": true' in output
    assert not {"feast", "duckdb", "pandas", "dbt", "scipy", "jinja2"} & modules


@pytest.mark.parametrize(
    ("package", "statement", "extra"),
    [
        ("fairlearn", "import martfeast.fairness", "fairness"),
        ("scipy", "import martfeast.fairness", "fairness"),
        ("mlcroissant", "import martfeast.datasets.builder", "datasets"),
        ("scipy", "import martfeast.datasets.builder", "datasets"),
    ],
)
def test_a_missing_extra_says_how_to_install_it(package, statement, extra):
    code = f"import sys; sys.modules[{package!r}] = None\n{statement}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("martfeast.extras.MissingExtraError: ")
    assert last.endswith(f"Run `pip install 'martfeast[{extra}]'`.")


def test_a_command_whose_extra_is_missing_says_so_without_a_traceback(built_library):
    code = "import sys; sys.modules['mlcroissant'] = None\n" + (
        "from martfeast.cli import main\nmain(['dataset', 'overdue_prediction'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=built_library.path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("Error: mlcroissant is not installed;")
    assert "pip install 'martfeast[datasets]'" in done.stderr
