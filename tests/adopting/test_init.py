"""`martfeast init` on projects as strangers have them: what it writes, asks, refuses and finds."""

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from conftest import REPOSITORY, Library, contents
from martfeast.adopting.edits import write
from martfeast.adopting.plan import PACKAGE, plan_setup
from martfeast.cli import main
from martfeast.declaration.project import read_project
from martfeast.problems import DeclarationError

FILES = {
    ".gitignore",
    "dbt_project.yml",
    "feature_repo/feature_store.yaml",
    "feature_repo/features.py",
    "packages.yml",
}

MORE_MODELS = """
models:
  - name: read_by_daily
    columns: [{name: customer_id}, {name: known_at}]
  - name: order_lines
    config: {contract: {enforced: true}}
    columns:
      - {name: line_id, data_type: bigint, data_tests: [unique]}
      - {name: customer_id, data_type: bigint}
      - {name: ordered_at, data_type: date}
      - {name: price, data_type: "decimal(18,2)"}
  - name: visits
    columns: [{name: store}, {name: visitor}, {name: seen_at}, {name: known_at}, {name: x_id}]
    data_tests:
      - unique_combination_of_columns:
          arguments: {combination_of_columns: [Store, visitor, known_at]}
  - name: rates
    config: {event_time: valid_from}
    columns: [{name: currency_code}, {name: valid_from}, {name: loaded_at}]
  - name: totals
    columns: [{name: total}]
"""


def init(folder: Path, *arguments: str, answer: str | None = None) -> Result:
    done = CliRunner().invoke(main, ["init", "--project-dir", str(folder), *arguments], answer)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def texts(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): file.read_bytes().decode()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A dbt project that has a name and nothing else."""
    folder = tmp_path / "bare"
    folder.mkdir()
    (folder / "dbt_project.yml").write_text("name: bare  # ours\n")
    return folder


@pytest.fixture(scope="module")
def parsed_shop(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """The shop as `dbt parse` leaves it."""
    shop = Library(tmp_path_factory.mktemp("shop") / "project")
    shutil.copytree(REPOSITORY / "tests/projects/shop", shop.path)
    for model in yaml.safe_load(MORE_MODELS)["models"]:
        (shop.path / f"models/{model['name']}.sql").write_text(
            "{{ config(materialized='table') }} select 1 as x from {{ ref('stg_orders') }}"
        )
    (shop.path / "models/daily.sql").write_text(
        "{{ config(materialized='incremental') }} select 1 as x from {{ ref('read_by_daily') }}"
    )
    (shop.path / "models/more.yml").write_text(MORE_MODELS)
    # As the package dbt_utils has it, for which no network is needed here.
    (shop.path / "macros").mkdir()
    (shop.path / "macros/unique_combination_of_columns.sql").write_text(
        "{% test unique_combination_of_columns(model, combination_of_columns) %}"
        " select 1 from {{ model }} {% endtest %}"
    )
    assert shop.dbt("parse").returncode == 0
    return shop


@pytest.fixture
def shop(parsed_shop: Library, tmp_path: Path) -> Library:
    return parsed_shop.copy_to(tmp_path / "shop")


def test_it_writes_what_a_project_lacks_once(bare):
    done = init(bare, "--yes")
    assert done.exit_code == 0
    after = texts(bare)
    assert set(after) == FILES
    assert yaml.safe_load(after["packages.yml"]) == {"packages": [{"local": str(PACKAGE)}]}
    assert after["dbt_project.yml"].startswith("name: bare  # ours\nvars:\n  martfeast:\n")
    assert yaml.safe_load(after["feature_repo/feature_store.yaml"])["project"] == "bare"
    assert after[".gitignore"].splitlines() == [
        "/feature_repo/data/",
        "/data/published/",
        "/data/datasets/",
    ]
    stood = contents(bare)
    again = init(bare, "--yes")
    assert again.exit_code == 0
    assert "Everything is set up; nothing was changed." in again.output
    assert contents(bare) == stood


def test_it_shows_a_diff_that_patch_would_apply_and_writes_only_if_asked_to(bare, tmp_path):
    before = texts(bare)
    asked = init(bare, answer="n\n")
    assert asked.exit_code == 2
    assert f"Write {len(FILES)} files? [y/N]" in asked.output
    shown = init(bare, "--dry-run")
    assert shown.exit_code == 0
    assert "would write packages.yml" in shown.output
    assert texts(bare) == before
    diff = shown.output.split("\n\nwould write")[0] + "\n"
    patched = tmp_path / "patched"
    shutil.copytree(bare, patched)
    subprocess.run(["git", "apply", "-"], cwd=patched, input=diff, text=True, check=True)
    assert init(bare, answer="y\n").exit_code == 0
    assert texts(patched) == texts(bare)


def test_it_says_what_to_run_where_dbt_has_not_run(bare):
    said = " ".join(init(bare, "--yes").output.split())
    assert "target/manifest.json does not exist" in said
    assert "Run `dbt deps` and `dbt parse` first, then `martfeast init` again." in said


@pytest.mark.parametrize(
    ("file", "there"),
    [
        ("dependencies.yml", "projects: []\npackages:\n  - package: a/b\n    version: 1.0.0\n"),
        ("dependencies.yml", "projects: []\n"),
        ("packages.yml", "# ours\npackages:\n  - package: a/b  # first\n    version: 1.0.0\n"),
    ],
)
def test_it_adds_to_the_file_that_lists_packages(bare, file, there):
    (bare / file).write_text(there)
    init(bare, "--yes")
    text = (bare / file).read_text()
    assert text.startswith(there)
    assert {"local": str(PACKAGE)} in yaml.safe_load(text)["packages"]
    assert sum((bare / name).exists() for name in ("packages.yml", "dependencies.yml")) == 1


@pytest.mark.parametrize(
    ("entry", "stays"),
    [
        (f"local: {PACKAGE}", True),
        (f"local: {os.path.relpath(PACKAGE, '/nowhere')}", False),
        ("local: /gone/.venv/lib/site-packages/martfeast/dbt_package", False),
        ("local: vendored", True),
        ("local: older", False),
        ("local: \"{{ env_var('MARTFEAST') }}\"", True),
        ("git: https://git.example/martfeast.git", True),
    ],
)
def test_a_package_that_is_there_stays_and_one_that_is_gone_or_older_is_replaced(
    bare, entry, stays
):
    shutil.copytree(PACKAGE, bare / "vendored")
    (bare / "older").mkdir()
    (bare / "older/dbt_project.yml").write_text('name: martfeast\nversion: "0.0.1"\n')
    there = f"packages:\n  - {entry}  # ours\n"
    (bare / "packages.yml").write_text(there)
    init(bare, "--yes")
    text = (bare / "packages.yml").read_text()
    assert text == (there if stays else f"packages:\n  - local: {PACKAGE}  # ours\n")


def test_the_package_is_named_relatively_within_one_repository(bare, monkeypatch):
    package = bare.parent / ".venv/lib/martfeast/dbt_package"
    monkeypatch.setattr("martfeast.adopting.plan.PACKAGE", package)
    (bare.parent / ".git").mkdir()
    init(bare, "--yes")
    listed = yaml.safe_load((bare / "packages.yml").read_text())["packages"]
    assert listed == [{"local": "../.venv/lib/martfeast/dbt_package"}]


PROFILE = """\
# Ours.
bare:
  target: dev
  outputs:
    dev:
      type: duckdb  # the file
      path: x.duckdb

    prod: {type: duckdb, path: y.duckdb}
    lake: {type: spark, host: z}
"""
PLUGINS = "      plugins:\n        - module: martfeast.publishing.links\n"
FLOW_PLUGINS = ", plugins: [{module: martfeast.publishing.links}]}"


@pytest.fixture
def profiled(bare: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The bare project with a profile in a file of its own; there is none at home."""
    for name in ("DBT_PROFILES_DIR", "DBT_PROFILE", "DBT_TARGET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(bare.parent / "home"))
    (bare / "dbt_project.yml").write_text("name: bare\nprofile: bare\n")
    (bare / "profiles.yml").write_text(PROFILE)
    return bare


@pytest.mark.parametrize(
    ("arguments", "after"),
    [
        ((), PROFILE.replace("path: x.duckdb\n", f"path: x.duckdb\n{PLUGINS}")),
        (("--target", "prod"), PROFILE.replace("y.duckdb}", f"y.duckdb{FLOW_PLUGINS}")),
        (("--target", "lake"), PROFILE),
        (("--target", "missing"), PROFILE),
        (("--profile", "other"), PROFILE),
    ],
)
def test_the_duckdb_target_that_dbt_takes_gets_the_plugin_that_links(profiled, arguments, after):
    shown = init(profiled, "--dry-run", *arguments)
    assert ("would write packages.yml, dbt_project.yml, profiles.yml" in shown.output) == (
        after != PROFILE
    )
    assert (profiled / "profiles.yml").read_text() == PROFILE
    init(profiled, "--yes", *arguments)
    assert (profiled / "profiles.yml").read_text() == after
    again = init(profiled, "--yes", *arguments)
    assert "Everything is set up; nothing was changed." in again.output
    assert "stays as it is" not in again.output


def test_the_target_that_feeds_feast_gets_it_unless_another_is_named(profiled):
    settings = "name: bare\nprofile: bare\nvars: {martfeast: {target: prod}}\n"
    (profiled / "dbt_project.yml").write_text(settings)
    init(profiled, "--yes")
    assert FLOW_PLUGINS in (profiled / "profiles.yml").read_text()
    assert PLUGINS not in (profiled / "profiles.yml").read_text()


@pytest.mark.parametrize(
    "there",
    [
        PROFILE.replace("# the file", "# the file\n      plugins: [{module: excel}]"),
        PROFILE.replace("# the file", "# the file\n      plugins:"),
        PROFILE.replace("bare:", "{% set x = 1 %}\nbare:"),
    ],
)
def test_a_target_with_plugins_or_that_cannot_be_read_stays_and_the_line_is_said(profiled, there):
    (profiled / "profiles.yml").write_text(there)
    done = init(profiled, "--yes")
    assert (profiled / "profiles.yml").read_text() == there
    said = " ".join(done.output.split())
    assert "profiles.yml stays as it is" in said
    assert "plugins: [{module: martfeast.publishing.links}]" in said


@pytest.mark.parametrize("way", ["home", "option", "variable", "link"])
def test_a_profile_that_lies_elsewhere_stays_and_the_line_is_said(profiled, monkeypatch, way):
    elsewhere = profiled.parent / "home/.dbt"
    elsewhere.mkdir(parents=True)
    (profiled / "profiles.yml").rename(elsewhere / "profiles.yml")
    if way == "link":
        (profiled / "profiles.yml").symlink_to(elsewhere / "profiles.yml")
    if way in ("option", "variable"):
        monkeypatch.setenv("HOME", "/nowhere")
    if way == "variable":
        monkeypatch.setenv("DBT_PROFILES_DIR", str(elsewhere))
    done = init(profiled, "--yes", *(["--profiles-dir", str(elsewhere)] if way == "option" else []))
    assert done.exit_code == 0
    assert (elsewhere / "profiles.yml").read_text() == PROFILE
    said = " ".join(done.output.split())
    assert f"{elsewhere}/profiles.yml stays as it is" in said
    assert "plugins: [{module: martfeast.publishing.links}] to the target dev" in said


@pytest.mark.parametrize(
    ("settings", "ignored"),
    [
        ("{published_path: out/marts}", ["/out/marts/", "/out/datasets/"]),
        ("{published_path: out/marts, datasets_path: sets}", ["/out/marts/", "/sets/"]),
        ("{published_path: /elsewhere/marts}", []),
        ("{published_path: ../marts}", []),
        ("{published_path: {a: a/marts, b: a/b}}", ["/a/marts/", "/a/datasets/", "/a/b/"]),
        ("{keep_releases: 3}", ["/data/published/", "/data/datasets/"]),
        ("", ["/data/published/", "/data/datasets/"]),
    ],
)
def test_what_is_set_already_stays_and_what_it_generates_is_ignored(bare, settings, ignored):
    project = f"name: bare\nvars:\n  martfeast: {settings}\n"
    (bare / "dbt_project.yml").write_text(project)
    (bare / ".gitignore").write_text("feature_*")
    init(bare, "--yes")
    assert (bare / "dbt_project.yml").read_text() == project
    assert (bare / ".gitignore").read_text().split() == ["feature_*", *ignored]


def test_a_feature_repo_that_is_there_stays_and_what_differs_is_said(bare):
    (bare / "feature_repo").mkdir()
    store, features = bare / "feature_repo/feature_store.yaml", bare / "feature_repo/features.py"
    store.write_text("project: ours\nregistry: data/registry.db\nprovider: local\n")
    features.write_text("# ours\n")
    said = " ".join(init(bare, "--yes").output.split())
    assert (store.read_text(), features.read_text()) == (
        "project: ours\nregistry: data/registry.db\nprovider: local\n",
        "# ours\n",
    )
    assert "offline_store: {type: martfeast.offline_store.DuckDBAsofOfflineStore}" in said
    assert "registry: {registry_store_type: martfeast.registry.SafeFileRegistryStore}" in said
    assert "martfeast.expose(globals()" in said
    features.rename(bare / "feature_repo/objects.py").write_text("import martfeast\n")
    (bare / "feature_repo/objects.py").write_text("martfeast.expose(globals(), 'x')\n")
    assert "nothing was changed" in init(bare, "--yes").output


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("dbt_project.yml", b"name: {x", "it is not YAML"),
        ("dbt_project.yml", b"vars: {}", "it gives the project no name"),
        ("dbt_project.yml", b"name: x\nvars: [a]", "add vars.martfeast by hand"),
        ("dbt_project.yml", b"name: \xff", "cannot be read"),
        ("packages.yml", b"- local: x", "it is not a mapping"),
        ("packages.yml", b"packages: x", "packages is not a list"),
        (".gitignore", None, "cannot be read: [Errno 21] Is a directory"),
        ("feature_repo", b"", "cannot be read: [Errno 20] Not a directory"),
        ("feature_repo/feature_store.yaml", b"project: [", "it is not YAML"),
    ],
)
def test_a_file_that_cannot_be_added_to_is_named_and_nothing_is_written(bare, name, content, said):
    path = bare / name
    path.parent.mkdir(exist_ok=True)
    path.mkdir() if content is None else path.write_bytes(content)
    before = contents(bare)
    done = init(bare, "--yes")
    assert done.exit_code == 2
    output = " ".join(done.output.split())
    assert said in output
    assert str(path) in output
    assert "martfeast: 1 problem; nothing was changed." in output
    assert contents(bare) == before


def test_a_folder_without_a_project_is_refused_and_projects_below_it_are_named(bare):
    (bare.parent / "dbt_packages/other").mkdir(parents=True)
    (bare.parent / "dbt_packages/other/dbt_project.yml").write_text("name: other")
    done = init(bare.parent, "--yes")
    assert done.exit_code == 2
    assert "dbt_project.yml does not exist." in done.output
    assert "There is one in bare: name it with --project-dir." in done.output
    assert "Name a dbt project's folder" in init(bare / "nowhere").output
    assert init(bare / "dbt_project.yml").exit_code == 2


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    """Let no file grow beyond 200 bytes, which only some of the new ones do."""
    _, hard = limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_file_that_changed_while_it_was_asked_is_left_alone(bare):
    plan = plan_setup(bare)
    (bare / "packages.yml").write_text("packages: []\n")
    before = contents(bare)
    with pytest.raises(DeclarationError, match=r"packages\.yml(.|\n)*has changed since"):
        write(plan.edits)
    assert contents(bare) == before


def test_if_one_file_cannot_be_written_none_is(bare):
    before = contents(bare)
    with full_disk():
        done = init(bare, "--yes")
    assert done.exit_code == 3
    assert "cannot be written: File too large." in " ".join(done.output.split())
    assert contents(bare) == before
    assert not (bare / "feature_repo").exists()


@contextlib.contextmanager
def another_user(folder: Path) -> Iterator[None]:
    """Be a user whom the modes of files keep out, as they do not keep out root."""
    init(folder, "--dry-run")  # imports what that user may not read
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.fixture
def open_project() -> Iterator[Path]:
    """A project where another user may look: pytest's own folders are the tester's only."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        folder = Path(made) / "project"
        folder.mkdir()
        (folder / "dbt_project.yml").write_text("name: bare\n")
        yield folder


def test_a_folder_that_is_read_only_is_refused(open_project):
    open_project.chmod(0o555)
    before = contents(open_project)
    with another_user(open_project):
        done = init(open_project, "--yes")
    assert done.exit_code == 3
    assert "cannot be written: Permission denied." in " ".join(done.output.split())
    assert contents(open_project) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_what_was_renamed_is_taken_back_if_a_later_rename_fails(open_project):
    (open_project / "packages.yml").write_text("packages: []\n")  # which stays root's
    os.chown(open_project / "dbt_project.yml", 65534, -1)
    open_project.chmod(0o1777)  # as /tmp: anyone may add files, and replace none of another's
    before = texts(open_project)
    with another_user(open_project):
        done = init(open_project, "--yes")
    assert done.exit_code == 3
    output = " ".join(done.output.split())
    assert f"{open_project}/packages.yml" in output
    assert "cannot be written: Operation not permitted." in output
    assert texts(open_project) == before
    assert not (open_project / "feature_repo").exists()


def test_a_file_keeps_its_mode_and_a_link_stays_a_link(bare):
    project = bare / "dbt_project.yml"
    project.rename(bare / "real.yml").chmod(0o640)
    project.symlink_to("real.yml")
    init(bare, "--yes")
    assert project.is_symlink()
    assert "martfeast" in (bare / "real.yml").read_text()
    assert (bare / "real.yml").stat().st_mode & 0o777 == 0o640


def told(shop: Library) -> dict[str, str]:
    """What is said of each model, by its name."""
    said = init(shop.path, "--dry-run").output.split("\n\n")
    parts = [" ".join(part.split()) for part in said]
    return {
        part.split()[0]: part for part in parts if " be a mart" in part and "No model" not in part
    }


def test_it_says_of_each_model_what_the_gate_would(shop):
    said = told(shop)
    could, cannot = said["customer_payments"], said["customers"]
    assert "a table under marts/, with key customer_id and time paid_at" in could
    assert "[data-type-missing] customer_id, paid_at, payment_count," in could
    for criterion in ("contract_enforced", "grain_tested_unique", "keys_not_null", "owned"):
        assert f"[{criterion}]" in could
    for criterion in ("access_public", "knowledge_time_declared"):
        assert f"[{criterion}]" in could
    for criterion in ("described", "published", "replayed", "tests_passed"):
        assert f"[{criterion}]" not in could
    assert "[event-time-missing] Nothing says when rows of raw_payments, raw_orders" in could
    assert "customers cannot be a mart yet: a table under marts/." in cannot
    assert "customer_id is unique, so there is one row for each" in cannot


def test_it_finds_models_that_could_be_marts_and_their_keys_and_time(shop):
    said = told(shop)
    leaf = "a table that no other model reads"
    assert set(said) == {
        *("customer_payments", "customers"),  # tables under marts/, and views are none
        *("daily", "order_lines", "visits", "rates", "totals"),  # what nothing reads
    }
    assert (
        f"order_lines could be a mart: {leaf}, with key customer_id and time ordered_at."
        in (said["order_lines"])
    )
    assert "ordered_at: " in said["order_lines"] and "timestamp" in said["order_lines"]
    assert "price: " in said["order_lines"] and "double" in said["order_lines"]
    assert f"{leaf}, with key store, visitor and time known_at." in said["visits"]
    assert f"{leaf}, with key currency_code and time valid_from." in said["rates"]
    assert "[knowledge_time_declared]" not in said["rates"]
    assert "No known column looks like a key" in said["totals"]
    assert "No known column looks like the time" in said["totals"]
    assert said["daily"].startswith(
        "daily cannot be a mart yet: an incremental model that no other model reads."
        " No column of it is known."
    )


def test_what_says_when_its_rows_were_known_is_not_asked_for(shop):
    for file, old, new in (
        (
            "staging/_staging.yml",
            "status of today.",
            "status.\n    config: {event_time: ordered_at}",
        ),
        (
            "staging/_staging.yml",
            "One row per payment.",
            "One.\n    config: {meta: {martfeast: {timeless: always}}}",
        ),
    ):
        shop.replace_in(f"models/{file}", old, new)
    assert "dbt parse" in init(shop.path, "--dry-run").output
    assert shop.dbt("parse").returncode == 0
    assert "[event-time-missing]" not in told(shop)["customer_payments"]


@pytest.mark.parametrize("catalog", ["", "[]", '{"nodes": {"model.shop.customers": 1}}'])
def test_a_catalog_that_cannot_be_read_is_passed_over(shop, catalog):
    before = told(shop)
    (shop.path / "target/catalog.json").write_text(catalog)
    assert told(shop) == before


@pytest.mark.slow
def test_the_yaml_that_it_shows_is_a_declaration(shop):
    """With a group to answer for it and types, as the text asks for, nothing is wrong with it."""
    said = init(shop.path, "--yes").output
    written = shop.path / "feature_repo/mart.yml.example"
    example = written.read_text()
    assert all(f"+{line}\n" in said for line in example.splitlines())
    assert example.startswith("# customer_payments as a mart")
    assert "to paste into models/marts/_marts.yml." in example
    types = iter(["integer", "timestamp", "bigint", "double", "double", "double"])
    while "<as in the warehouse>" in example:
        example = example.replace("<as in the warehouse>", next(types), 1)
    group = "\ngroups:\n  - {name: accounting, owner: {name: Accounting}}\n"
    (shop.path / "models/marts/_marts.yml").write_text(
        example.replace("<who answers for it>", "accounting") + group
    )
    for other in yaml.safe_load(MORE_MODELS)["models"]:
        (shop.path / f"models/{other['name']}.sql").unlink()
    for file in ("more.yml", "daily.sql"):
        (shop.path / "models" / file).unlink()
    tables = "models:\n  martfeast: {+materialized: table}"  # which are not the project's own
    shop.replace_in("dbt_project.yml", "models:\n", f"{tables}\n")
    for command in ("deps", "parse"):
        result = shop.dbt(command)
        assert result.returncode == 0, result.stdout
    project = read_project(shop.path)
    assert project.problems == []
    mart = project.declaration.feature_marts["customer_payments"]
    assert (mart.entity_columns, mart.timestamp) == (["customer_id"], "paid_at")
    assert set(told(shop)) == {"customers"}
    written.unlink()
    assert "Everything is set up" in init(shop.path, "--yes").output  # a mart shows how it is done
    report = shop.martfeast("status", cwd=shop.path).stdout
    assert "FAIL   fail published; " in report
