"""Replays: leaks are caught and look-alikes are not accused, and the gate asks for them."""

import json
import re
import shutil
import subprocess
import sys
from operator import itemgetter
from pathlib import Path
from typing import Any

import duckdb
import pytest
from conftest import Library

REPOSITORY = Path(__file__).parents[2]
PACKAGE = REPOSITORY / "python/martfeast/dbt_package"
ZOO = REPOSITORY / "tests/projects/leak_zoo"
ACTIVITY, TITLES, LABELS = "member_activity_daily", "title_availability", "loan_labels"
OWN_STORE = "type: martfeast.offline_store.DuckDBAsofOfflineStore"
SQL = f"models/marts/{TITLES}.sql"
Json = dict[str, Any]


def replay(library, *arguments: str, succeeds: bool = True) -> Json:
    result = library.martfeast("replay", "--json", *arguments, cwd=library.path)
    assert (result.returncode == 0) == succeeds, result.stdout + result.stderr
    answer: Json = json.loads(result.stdout)
    return answer


def refusal(library, *arguments: str) -> str:
    result = library.martfeast("replay", *arguments, cwd=library.path)
    assert result.returncode != 0
    assert "Traceback" not in result.stderr
    return result.stderr


# The leak zoo


def build_zoo(path: Path) -> None:
    """Build the zoo twice, and replay it; in between, the directory of shops is overwritten."""
    library = Library(path)
    ignore = shutil.ignore_patterns("target", "logs", "dbt_packages", "out", "*.duckdb")
    shutil.copytree(ZOO, library.path, ignore=ignore)
    packages = [f"  - local: {path}\n" for path in (PACKAGE, ZOO.parent / "dbt_moments")]
    (library.path / "packages.yml").write_text(f"packages:\n{''.join(packages)}")
    for arguments in (["deps"], ["build"]):
        assert library.dbt(*arguments).returncode == 0
    for shop in range(4):
        library.replace_in(
            "seeds/shop_directory.csv", "2026-01-01 00:00:00", f"2026-03-0{shop + 1} 12:00:00"
        )
    library.replace_in("seeds/shop_directory.csv", "0,120,", "0,1200,")
    library.replace_in("seeds/shop_directory.csv", "1,80,", "1,800,")
    assert library.dbt("build").returncode == 0
    # What is found by reading is found at any moments, and few of them take less time.
    found_by_reading = {file.stem for file in ZOO.glob("models/*/read/*.sql")}
    wanted: dict[bool, list[str]] = {True: [], False: []}
    for node in json.loads((library.path / "target/manifest.json").read_text())["nodes"].values():
        if "feast" in node["config"].get("meta", {}):
            wanted[node["name"] in found_by_reading] += ["--select", node["name"]]
    answers = [
        replay(library, "--cuts", cuts, *wanted[is_read], succeeds=False)
        for is_read, cuts in ((False, "12"), (True, "3"))
    ]
    answers[0]["marts"] = sorted(answers[0]["marts"] + answers[1]["marts"], key=itemgetter("mart"))
    (path / "replay.json").write_text(json.dumps(answers[0]))


@pytest.fixture(scope="session")
def zoo(build_once) -> Library:
    return Library(build_once("zoo", build_zoo))


@pytest.fixture(scope="session")
def zoo_replay(zoo) -> Json:
    answer: Json = json.loads((zoo.path / "replay.json").read_text())
    return answer


def finding(mart: Json) -> str:
    """How a mart was found to know the future, in words; empty if it was not.

    The zoo's own facts are as they say; a moment of others that is taken on trust is told.
    """
    if mart["differences"]:
        names = [late.split(" ")[0] for late in mart["differences"][0]["late"]]
        return f"replay: later facts of {', '.join(names)} change it"
    if mart["warnings"]:
        return "; ".join(f"read: {rule}" for rule in sorted({w["rule"] for w in mart["warnings"]}))
    refused = re.match(r"(\w+) says in \w+ when .* and it(.*), so a row may know", mart["problem"])
    if refused:
        return f"read: {refused.group(1)}{refused.group(2)}"
    if mart["problem"]:
        return f"read: {mart['problem']}"
    facts = {path.stem for path in ZOO.glob("models/facts/*.sql")}
    return ", ".join(f"on trust: {name}" for name in mart["trusted"] if name not in facts)


def zoo_table(zoo, answer: Json) -> str:
    """The zoo as a Markdown table, for the docs."""
    manifest = json.loads((zoo.path / "target/manifest.json").read_text())
    rows = ["| mart | what it does | found by |", "| --- | --- | --- |"]
    for folder in ("leaky", "correct"):
        for mart in answer["marts"]:
            node = manifest["nodes"][mart["unique_id"]]
            if f"models/{folder}/" in node["original_file_path"]:
                found = finding(mart) or "nothing, rightly"
                rows.append(f"| `{mart['mart']}` | {node['description']} | {found} |")
    return "\n".join(rows)


def test_every_leak_of_the_zoo_is_caught_and_no_look_alike_is_accused(zoo, zoo_replay):
    found = {mart["mart"]: finding(mart) for mart in zoo_replay["marts"]}
    leaky = {path.stem for path in ZOO.glob("models/leaky/**/*.sql")} & set(found)
    correct = {path.stem for path in ZOO.glob("models/correct/**/*.sql")} & set(found)
    assert len(leaky) >= 73
    assert len(correct) >= 31
    assert {name for name in leaky if not found[name]} == set(), "missed"
    assert {name: found[name] for name in correct if found[name]} == {}, "falsely accused"


def test_the_docs_have_the_zoo_as_it_was_found(zoo, zoo_replay):
    page = (REPOSITORY / "docs/knowledge_time.md").read_text()
    assert zoo_table(zoo, zoo_replay) in page


def test_a_leak_is_told_by_rows_columns_and_source(zoo_replay):
    marts = {mart["mart"]: mart for mart in zoo_replay["marts"]}
    lead = marts["lead"]["differences"][0]
    assert set(lead["changed"]) == {"feature_value"}
    assert lead["late"] == ["deliveries (models/facts/deliveries.sql)"]
    assert "subject_id " in lead["examples"][0]
    assert ", and was None" in lead["examples"][0]
    early = marts["late_arriving_weather"]["differences"]
    assert sum(difference["missing"] for difference in early) > 0
    current = marts["dedup_keeping_the_latest"]["differences"]
    assert sum(difference["extra"] for difference in current) > 0


def test_what_a_replay_cannot_show_is_named_with_model_and_line(zoo_replay):
    named = {
        (mart["mart"], warning["rule"], warning["file"].rsplit("/", 1)[1], warning["line"])
        for mart in zoo_replay["marts"]
        for warning in mart["warnings"]
    }
    assert named >= {
        ("age_by_a_function", "clock-read", "age_by_a_function.sql", 4),
        ("clock_beside_its_namesake", "clock-read", "clock_beside_its_namesake.sql", 4),
        ("clock_by_a_variable", "clock-read", "clock_by_a_variable.sql", 1),
        ("clock_in_a_text", "clock-read", "clock_in_a_text.sql", 6),
        # What a macro does is said at the first line of the model that calls it.
        ("day_of_the_build_by_a_package", "clock-read", "day_of_the_build_by_a_package.sql", 1),
        ("day_of_the_build_by_jinja", "clock-read", "day_of_the_build_by_jinja.sql", 4),
        ("enriched_by_a_current_state", "event-time-missing", "orders_with_size.sql", 7),
        ("file_named_in_a_join", "file-read", "file_named_in_a_join.sql", 6),
        ("mean_taken_when_compiled", "query-when-compiled", "mean_taken_when_compiled.sql", 3),
        ("snapshot_of_a_current_state", "snapshot-of-facts", "snapshot_of_a_current_state.sql", 5),
    }


def test_a_model_is_taken_at_its_word_by_name_and_if_it_makes_rows_of_rows_only_with_a_reason(
    zoo, zoo_replay
):
    marts = {mart["mart"]: mart for mart in zoo_replay["marts"]}
    assert marts["end_of_a_period"]["trusted"] == {"shop_states_with_end": ""}
    reason = "The log of a day is complete when the day is over"
    assert marts["counted_with_a_reason"]["trusted"] == {"order_counts_on_trust": reason}
    assert marts["counted_with_a_reason"]["has_passed"]
    summed = marts["summed_further_down"]
    assert not summed["has_passed"]
    assert (
        "through customer_sums (models/leaky/read/customer_sums.sql), aggregates rows"
        in (summed["problem"])
    )
    assert "meta: {martfeast: {trusted: <why>}}" in summed["problem"]
    # Nothing that is built on these is proven by a later model's own moment.
    assert marts["state_from_a_snapshot"]["trusted"] == {"orders": ""}


def test_cuts_are_where_the_future_would_show(zoo_replay):
    reasons = [cut["reason"] for cut in zoo_replay["cuts"]]
    for reason in (
        "just before a row of",
        "at a row of",
        "midnight, America/New_York",
        "clocks change",
        "the end of a month",
        "inside an hour",
    ):
        assert any(reason in given for given in reasons), reason
    assert {cut["later_facts"] for cut in zoo_replay["cuts"]} == {
        "withheld",
        "deleted",
        "delayed",
        "shuffled",
    }
    for cut in zoo_replay["cuts"]:
        assert sum(cut["withheld"].values()) > 0


# The gate


def test_the_gate_asks_for_a_passing_replay_of_the_present_code(library):
    """A leak is built and published; the replay finds it, and what is mended passes again."""
    library.replace_in(
        SQL,
        "cast(copies_free as integer) as copies_free",
        "cast(lead(copies_free) over (partition by branch_code, title_id order by known_at)"
        " as integer) as copies_free",
    )
    assert library.dbt("build").returncode == 0
    changed = library.feast("apply")
    assert changed.returncode == 1
    assert f"{TITLES}  [replayed]" in changed.stderr
    assert (
        f"Code, knowledge time or variables of {TITLES} have changed since it was replayed."
        " Run `martfeast replay`." in changed.stderr
    )

    report = library.martfeast("replay", cwd=library.path)
    assert report.returncode == 1
    assert "likely through later facts of: shelf_checks (seeds/shelf_checks.csv)" in report.stdout
    assert report.stdout.splitlines()[-1] == f"failed: {TITLES}"
    failed = library.feast("apply")
    assert failed.returncode == 1
    assert "Its replay failed: at " in failed.stderr
    assert (
        "cuts it knew the future, through later facts of shelf_checks (seeds/shelf_checks.csv)."
        f" Mend it; `martfeast replay --select {TITLES}` shows rows and sources."
    ) in failed.stderr

    original = (REPOSITORY / "tests/projects/library" / SQL).read_text()
    (library.path / SQL).write_text(original)
    assert library.dbt("build").returncode == 0
    assert library.feast("apply").returncode == 1
    library.replay()
    assert library.feast("apply").returncode == 0


def test_another_knowledge_time_or_variable_asks_for_another_replay(library):
    """The code is the same, and means something else."""
    library.replace_in("dbt_project.yml", "      +event_time: known_at\n", "")
    assert library.dbt("build").returncode == 0
    refused = library.feast("apply")
    assert "variables of member_days have changed since it was replayed" in refused.stderr
    library.replace_in("dbt_project.yml", "vars:\n", "vars:\n  library: {lent_days: 14}\n")
    assert library.dbt("build").returncode == 0
    assert f"{TITLES}  [replayed]" in library.feast("apply").stderr


@pytest.mark.parametrize("name", ["known_att", "title_id"])
def test_an_event_time_that_is_no_time_is_named(library, name):
    library.replace_in(
        "dbt_project.yml",
        "    shelf_checks:\n      +event_time: known_at\n",
        f"    shelf_checks:\n      +event_time: {name}\n",
    )
    assert library.dbt("build").returncode == 0
    assert f"Its event_time is {name}, which is " in refusal(library)


@pytest.mark.parametrize(
    ("declared", "message", "fix"),
    [
        (
            "date_known_at: noon",
            "Its meta.martfeast.date_known_at is 'noon'.",
            "Write one of: end_of_day, start_of_day.",
        ),
        (
            "timeless: true",
            "Its meta.martfeast.timeless is True, and is to say why.",
            "Write the reason in words.",
        ),
        (
            "trusted: ' '",
            "Its meta.martfeast.trusted is ' ', and is to say why.",
            "Write the reason in words.",
        ),
        (
            "timeles: a definition",
            "Its meta.martfeast has no key 'timeles'.",
            "Did you mean 'timeless'?",
        ),
    ],
)
def test_what_is_declared_of_knowledge_time_is_read_or_refused(library, declared, message, fix):
    library.replace_in(
        "dbt_project.yml",
        "    shelf_checks:\n",
        f"    shelf_checks:\n      +meta: {{martfeast: {{{declared}}}}}\n",
    )
    assert library.dbt("parse").returncode == 0
    refused = " ".join(refusal(library).split())
    assert message in refused
    assert fix in refused
    assert "seeds/shelf_checks.csv" in refused


def test_fewer_cuts_than_the_project_asks_for_are_no_evidence(library):
    evidence = library.published / "replays.json"
    evidence.unlink()
    assert replay(library, "--cuts", "6", "--select", LABELS)["has_passed"]
    assert replay(library, "--at", "2026-03-02T12:00:00")["has_passed"]
    assert not evidence.exists()
    refused = library.feast("apply")
    assert "No replay has shown that it never knew the future." in refused.stderr


def test_a_project_says_how_many_cuts_are_evidence(library):
    library.replace_in("dbt_project.yml", "cuts: 8", "cuts: 30")
    assert library.dbt("parse").returncode == 0
    said = " ".join(library.martfeast("status", cwd=library.path).stdout.split())
    assert "It was replayed at 8 chosen moments, and the project asks for 30" in said
    # A small project may ask for fewer.
    (library.published / "replays.json").unlink()
    library.replace_in("dbt_project.yml", "cuts: 30", "cuts: 5")
    assert library.dbt("parse").returncode == 0
    assert replay(library, "--select", LABELS)["has_passed"]
    said = " ".join(library.martfeast("status", LABELS, cwd=library.path).stdout.split())
    assert "(5 were to be chosen)" in said
    assert "replayed: ok" in said


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("cuts: 2", "2 is no number of past moments that could show anything. Write 3 or more"),
        ("cuts: many", "'many' is no number of past moments"),
        ("cuts: true", "True is no number of past moments"),
        ("time_zones: [America/NewYork]", "Did you mean 'America/New_York'?"),
        ("time_zones: UTC", "'UTC' does not fit here. Write a list."),
        ("cutz: 12", "'cutz' is not a key here. Did you mean 'cuts'?"),
    ],
)
def test_a_setting_of_replays_that_cannot_be_right(library, setting, said):
    library.replace_in("dbt_project.yml", "cuts: 8", setting)
    assert library.dbt("parse").returncode == 0
    refused = library.martfeast("replay", cwd=library.path)
    assert refused.returncode == 2
    assert "dbt_project.yml:15" in refused.stderr
    assert said in " ".join(refused.stderr.split())


def test_feasts_own_duckdb_store_is_checked_as_ours_is(library):
    library.replace_in("feature_repo/feature_store.yaml", OWN_STORE, "type: duckdb")
    assert replay(library, "--select", TITLES)["has_passed"]


def test_a_replay_changes_nothing(library):
    warehouse = library.path / "library.duckdb"
    before = warehouse.read_bytes(), library.published_bytes()
    target = (library.path / "target/manifest.json").read_bytes()
    answer = replay(library, "--select", ACTIVITY, "--at", "2026-03-02")
    assert [mart["mart"] for mart in answer["marts"]] == [ACTIVITY]
    assert (warehouse.read_bytes(), library.published_bytes()) == before
    assert (library.path / "target/manifest.json").read_bytes() == target
    assert not (library.path / ".tmp").exists()


# Where the cuts are


def test_a_mart_with_a_null_key_is_replayed(library):
    """Nobody can ask Feast for it; that it is not to be is the criterion keys_not_null."""
    library.replace_in("models/marts/_marts__models.yml", "[not_null]", "[]")
    library.replace_in("seeds/member_days.csv", "\n1,", "\n,")
    assert library.dbt("build").returncode == 0
    (mart,) = replay(library, "--select", ACTIVITY)["marts"]
    assert mart["has_passed"]
    assert mart["compared"] == 14


def test_odd_dates_of_one_relation_take_no_cut_from_the_others(library):
    """A row of the year 2262, and checks of another year than all else."""
    library.replace_in("dbt_project.yml", "cuts: 8", "cuts: 16")
    checks = [f"north,10,2024-01-{day:02} 08:00:00,{day},0.5,N-1" for day in range(1, 31)]
    with (library.path / "seeds/shelf_checks.csv").open("a") as file:
        file.write("\n".join([*checks, ""]))
    with (library.path / "seeds/member_days.csv").open("a") as file:
        file.write("2,2262-01-01 00:00:00,1,,false,history,\n")
    assert library.dbt("build").returncode == 0
    answer = replay(library)
    marts = {mart["mart"]: mart for mart in answer["marts"]}
    assert {name: mart["enough"] for name, mart in marts.items()} == {
        LABELS: 5,
        ACTIVITY: 3,
        TITLES: 16,
    }
    for mart in marts.values():
        assert mart["cuts"] >= mart["enough"]
    for cut in answer["cuts"]:
        assert cut["at"] < "2024-01-31" or "2026-02-28" < cut["at"] < "2026-03-21", cut
    assert len({cut["at"] for cut in answer["cuts"]}) <= 16 + 5 + 3 + 16
    said = " ".join(library.martfeast("status", LABELS, cwd=library.path).stdout.split())
    assert "(16 were to be chosen), all that its data has: " in said


def test_a_mart_on_a_young_snapshot_passes_and_is_due_when_it_has_a_history(library):
    (library.path / "snapshots").mkdir()
    (library.path / "snapshots/snapshots.yml").write_text(
        "snapshots: [{name: shelf_states, relation: ref('shelf_checks'), description: Shelves.,"
        " config: {unique_key: [branch_code, title_id], strategy: check, check_cols: all}}]"
    )
    library.replace_in(
        "dbt_project.yml", "    shelf_checks:\n      +event_time: known_at\n", "    shelf_checks:\n"
    )
    library.replace_in("seeds/shelf_checks.csv", "north,10,2026-03-01 08:00:00,4,0.5,N-1\n", "")
    library.replace_in(SQL, "    known_at,", "    dbt_valid_from as known_at,")
    library.replace_in(SQL, "ref('shelf_checks')", "ref('shelf_states')")
    assert library.dbt("build").returncode == 0
    (mart,) = replay(library, "--select", TITLES)["marts"]
    assert (mart["cuts"], mart["enough"]) == (0, 0)
    (warning,) = [one for one in mart["warnings"] if one["rule"] == "replay-due"]
    assert "no row of it could know the future, and no cut can show yet" in warning["message"]
    said = " ".join(library.martfeast("status", TITLES, cwd=library.path).stdout.split())
    assert "replayed: ok" in said

    library.replace_in("seeds/shelf_checks.csv", "03 08:00:00,0,", "05 08:00:00,3,")
    assert library.dbt("build").returncode == 0
    said = " ".join(library.martfeast("status", TITLES, cwd=library.path).stdout.split())
    assert "It was replayed at 0 moments, all that its data had then, up to " in said
    (mart,) = replay(library, "--select", TITLES)["marts"]
    assert mart["cuts"] >= mart["enough"] == 1
    assert not mart["due"]
    said = " ".join(library.martfeast("status", TITLES, cwd=library.path).stdout.split())
    assert "replayed: ok" in said


# What shows nothing does not pass


def test_a_cut_that_withholds_nothing_is_vacuous(library):
    answer = replay(library, "--at", "2027-01-01", succeeds=False)
    for mart in answer["marts"]:
        assert not mart["has_passed"]
        assert mart["problem"].startswith("no cut withheld anything under it")


def test_a_cut_that_compares_nothing_is_vacuous(library):
    answer = replay(library, "--at", "2020-01-01", succeeds=False)
    for mart in answer["marts"]:
        assert mart["problem"].startswith("it has no rows up to any cut")


def test_without_event_time_nothing_is_shown(library):
    library.replace_in("dbt_project.yml", "      +event_time: known_at\n", "")
    library.replace_in("dbt_project.yml", "      +event_time: known_at\n", "")
    assert library.dbt("build").returncode == 0
    answer = replay(library, succeeds=False)
    marts = {mart["mart"]: mart for mart in answer["marts"]}
    assert marts[LABELS]["has_passed"]
    assert marts[TITLES]["problem"].startswith("no cut withheld anything under it")
    assert [warning["rule"] for warning in marts[TITLES]["warnings"]] == ["event-time-missing"]


def test_where_nothing_at_all_has_an_event_time_it_is_told(library):
    library.replace_in("dbt_project.yml", "      +event_time: known_at\n", "")
    library.replace_in("dbt_project.yml", "      +event_time: known_at\n", "")
    assert library.dbt("build").returncode == 0
    (mart,) = replay(library, "--select", TITLES, succeeds=False)["marts"]
    assert mart["problem"].startswith("no cut withheld anything under it")


# Labels


@pytest.mark.parametrize(
    ("old", "new", "column"),
    [
        (  # it is said to be known when it is due, and comes later
            "loan_returns.returned_at as label_known_at",
            "least(loan_returns.returned_at, loans.due_at) as label_known_at",
            "is_overdue",
        ),
        (  # it is filled in from the start
            "loan_returns.returned_at > loans.due_at as is_overdue",
            "coalesce(loan_returns.returned_at > loans.due_at, false) as is_overdue",
            "is_overdue",
        ),
        (  # rows are asked at another time while they have no label
            "loans.lent_at as predicted_at",
            "loans.lent_at + to_days(cast(returned_at is null as integer)) as predicted_at",
            "",
        ),
    ],
)
def test_a_label_is_not_seen_before_it_is_known(library, old, new, column):
    """It is the label mart's fault, and not that of the features in its training sets."""
    library.replace_in(f"models/marts/{LABELS}.sql", old, new)
    assert library.dbt("build").returncode == 0
    marts = {mart["mart"]: mart for mart in replay(library, succeeds=False)["marts"]}
    differences = marts[LABELS]["differences"]
    assert any(column in one["changed"] or one["missing"] > 0 for one in differences)
    assert marts[ACTIVITY]["has_passed"], marts[ACTIVITY]["problem"]
    assert marts[TITLES]["has_passed"], marts[TITLES]["problem"]


# The first label is known then, and another is to be; every mart has facts that are withheld.
AMID = "2026-03-11T00:00:00"


def add_later_facts(library) -> None:
    for seed, row in (
        ("shelf_checks", "north,10,2026-03-25 08:00:00,3,0.5,N-1"),
        ("member_days", "1,2026-03-25 00:00:00,2,0.5,true,crime,"),
    ):
        with (library.path / f"seeds/{seed}.csv").open("a") as file:
            file.write(f"{row}\n")


def test_a_stamp_that_is_later_than_the_facts_is_no_leak(library):
    """A label counts from its stamp on, and a row of features too."""
    add_later_facts(library)
    library.replace_in(
        f"models/marts/{LABELS}.sql",
        "loan_returns.returned_at as label_known_at",
        "loan_returns.returned_at + interval 12 hour as label_known_at",
    )
    library.replace_in(SQL, "    known_at,", "    known_at + interval 1 day as known_at,")
    assert library.dbt("build").returncode == 0
    # One label is known and not yet stamped.
    for arguments in (["--at", "2026-03-18T06:00:00"], ["--at", AMID], []):
        for mart in replay(library, *arguments)["marts"]:
            assert mart["has_passed"], mart


def test_a_mart_is_not_failed_for_what_another_gives_the_same_training_set(library):
    add_later_facts(library)
    library.replace_in("seeds/shelf_checks.csv", "north,10,2026-03-03", "north,10,2026-03-14")
    library.replace_in(
        SQL,
        "cast(copies_free as integer) as copies_free",
        "cast(lead(copies_free) over (partition by branch_code, title_id order by known_at)"
        " as integer) as copies_free",
    )
    assert library.dbt("build").returncode == 0
    answer = replay(library, "--at", AMID, succeeds=False)
    marts = {mart["mart"]: mart for mart in answer["marts"]}
    assert marts[TITLES]["differences"]
    assert marts[ACTIVITY]["has_passed"], marts[ACTIVITY]["problem"]


# Feast


LEAKY_STORE = '''
from datetime import datetime
from martfeast.offline_store import DuckDBAsofOfflineStore, DuckDBAsofOfflineStoreConfig

class LeakyOfflineStoreConfig(DuckDBAsofOfflineStoreConfig):
    type: str = "leaky_store.LeakyOfflineStore"

class LeakyOfflineStore(DuckDBAsofOfflineStore):
    """Materializes what comes after the end, too."""

    @staticmethod
    def pull_all_from_table_or_query(*arguments, **options):
        options["end_date"] = datetime(2100, 1, 1)
        return DuckDBAsofOfflineStore.pull_all_from_table_or_query(*arguments, **options)
'''

BROKEN_STORE = '''
from feast.infra.offline_stores.offline_store import OfflineStore
from feast.repo_config import FeastConfigBaseModel

class BrokenOfflineStoreConfig(FeastConfigBaseModel):
    type: str = "broken_store.BrokenOfflineStore"

class BrokenOfflineStore(OfflineStore):
    """Is not there when it is asked."""

    @staticmethod
    def get_historical_features(*arguments, **options):
        raise RuntimeError("no way")

    @staticmethod
    def pull_latest_from_table_or_query(*arguments, **options):
        raise RuntimeError("no way")
'''


@pytest.fixture
def stores(library, monkeypatch):
    """The modules leaky_store and broken_store, for feature_store.yaml to name."""
    folder = library.path / "stores"
    folder.mkdir()
    (folder / "leaky_store.py").write_text(LEAKY_STORE)
    (folder / "broken_store.py").write_text(BROKEN_STORE)
    monkeypatch.syspath_prepend(folder)


@pytest.mark.usefixtures("stores")
def test_serving_what_was_not_known_is_found(library):
    """Online and offline values differ when a store materializes past the end."""
    library.replace_in(
        "feature_repo/feature_store.yaml", OWN_STORE, "type: leaky_store.LeakyOfflineStore"
    )
    answer = replay(library, "--at", "2026-03-08T23:00:00", succeeds=False)
    marts = {mart["mart"]: mart for mart in answer["marts"]}
    assert "the online store gives" in marts[ACTIVITY]["problem"]
    assert marts[LABELS]["has_passed"]


@pytest.mark.usefixtures("stores")
@pytest.mark.parametrize("store", ["default", "broken"])
def test_an_offline_store_that_gives_other_rows_is_named_and_no_mart_is_failed(library, store):
    """Feast's default leaves out rows past their TTL; another one cannot be asked at all."""
    library.replace_in("dbt_project.yml", "cuts: 8", "cuts: 16")
    assert library.dbt("parse").returncode == 0
    settings = {"default": "", "broken": "offline_store:\n  type: broken_store.BrokenOfflineStore"}
    library.replace_in(
        "feature_repo/feature_store.yaml", f"offline_store:\n  {OWN_STORE}", settings[store]
    )
    assert library.martfeast("replay", cwd=library.path).returncode == 0
    said = " ".join(library.martfeast("status", cwd=library.path).stdout.split())
    name, gives = {
        "default": ("dask", ", the online store gives 2 rows where today's mart gives 1"),
        "broken": ("broken_store.BrokenOfflineStore", ", it fails: RuntimeError: no way"),
    }[store]
    told = f"Feast's offline store {name} gives other rows than martfeast's, which gives the right"
    assert f"warning: {ACTIVITY} [replayed] {told} ones: at 2026-03-" in said
    assert gives in said
    assert f"Write offline_store: {{{OWN_STORE}}} in feature_store.yaml" in said


def test_a_feature_with_parts_of_a_second_is_told_what_feast_serves(library):
    library.replace_in("seeds/member_days.csv", "2026-03-01 17:30:00", "2026-03-01 17:30:00.123456")
    assert library.dbt("build").returncode == 0
    (mart,) = replay(library, "--select", ACTIVITY, succeeds=False)["marts"]
    assert "the online store gives last_visit_at 2026-03-01 17:30:00+00:00" in mart["problem"]
    assert mart["problem"].endswith(
        "Feast serves a timestamp in whole seconds online, and training has its fractions: write"
        " date_trunc('second', ...) in the model, or online: false under meta.feast"
    )


# Bad input


def test_bad_input_is_named(library):
    assert "There is no such mart. Did you mean 'loan_labels'?" in refusal(
        library, "--select", "loan_label"
    )
    assert "Invalid value for '--at'" in refusal(library, "--at", "yesterday")
    assert "Invalid value for '--cuts'" in refusal(library, "--cuts", "0")
    library.replace_in(SQL, "copies_free as", "copies_free + 1 as")
    assert "This file has changed since dbt last read it. Run `dbt build`" in refusal(library)


def test_rows_that_the_present_data_does_not_make_are_told_apart_from_leaks(library):
    """The seed has other rows, and dbt knows nothing of it."""
    library.execute("update main.shelf_checks set copies_free = 5 where copies_free = 4")
    (mart,) = replay(library, "--select", TITLES, succeeds=False)["marts"]
    assert mart["differences"] == []
    assert mart["problem"] == (
        "what is published is not what the present code makes of the present data: copies_free"
        " changed in 1 rows. Run `dbt build`, then replay again; if they still differ, rows of an"
        " incremental model are older than its code (`dbt build --full-refresh`), a hook changes"
        " them, or the model is not deterministic"
    )


def test_a_source_in_another_database_of_the_profile_is_replayed(library):
    """dbt-duckdb attaches it; the replay reads it, and writes to no file."""
    with duckdb.connect(str(library.path / "branches.duckdb")) as connection:
        seed = library.path / "seeds/shelf_checks.csv"
        connection.execute(
            "create table shelf_checks as select * replace (waiting_days::float as waiting_days)"
            f" from read_csv('{seed}')"
        )
    library.replace_in(
        "profiles.yml",
        "      threads: 2\n",
        "      threads: 2\n      attach: [{path: branches.duckdb}]\n",
    )
    (library.path / "models/sources.yml").write_text(
        "sources: [{name: branches, database: branches, schema: main,"
        " tables: [{name: shelf_checks, config: {event_time: known_at}}]}]"
    )
    library.replace_in(SQL, "ref('shelf_checks')", "source('branches', 'shelf_checks')")
    assert library.dbt("build").returncode == 0
    before = (library.path / "branches.duckdb").read_bytes()
    (mart,) = replay(library, "--select", TITLES)["marts"]
    assert mart["withheld"] > 0
    assert (library.path / "branches.duckdb").read_bytes() == before

    library.replace_in(SQL, "copies_free as", "lead(copies_free) over (order by known_at) as")
    assert library.dbt("build").returncode == 0
    (mart,) = replay(library, "--select", TITLES, succeeds=False)["marts"]
    assert mart["differences"][0]["late"][0].startswith("branches.shelf_checks (models/sources.yml")


def test_rows_without_an_event_time_are_told(library):
    """Nothing says when they were known, so at no past moment are they."""
    library.replace_in("models/staging/loan_returns.sql", "where returned_at is not null", "")
    library.replace_in(
        f"models/marts/{LABELS}.sql",
        "case when loan_returns.returned_at is null then",
        "case when loan_returns.loan_id is null then",
    )
    assert library.dbt("build").returncode == 0
    assert replay(library, "--select", LABELS)["has_passed"], "such rows change nothing here"
    library.replace_in(
        f"models/marts/{LABELS}.sql",
        "loans.lent_at as predicted_at",
        "loans.lent_at + to_days(cast(loan_returns.loan_id is null as integer)) as predicted_at",
    )
    assert library.dbt("build").returncode == 0
    (mart,) = replay(library, "--select", LABELS, succeeds=False)["marts"]
    late = " ".join(mart["differences"][0]["late"])
    assert "loan_returns (models/staging/loan_returns.sql, of which " in late
    assert " rows have no returned_at and so were never known)" in late


def test_a_mart_without_rows_is_told(library):
    library.replace_in(
        SQL, "from {{ ref('shelf_checks') }}", "from {{ ref('shelf_checks') }} limit 0"
    )
    assert library.dbt("build").returncode == 0
    (mart,) = replay(library, "--select", TITLES, succeeds=False)["marts"]
    assert mart["problem"].startswith("it has no rows, so nothing is shown. Load data")


def test_a_warehouse_that_is_written_to_is_waited_for(library):
    held = (
        "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('held', flush=True); input()"
    )
    warehouse = library.path / "library.duckdb"
    with subprocess.Popen(
        [sys.executable, "-c", held, str(warehouse)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        running = library.start("martfeast", "replay", "--select", LABELS)
        said = f"(process {process.pid}) has {warehouse} open: waiting"
        running.wait_for(said)
        assert running.is_running()
        process.kill()
    done = running.wait()
    assert done.returncode == 0, done.stderr
    assert said in done.stderr


# What cannot be replayed


SOURCE = (
    "sources: [{name: shelves, database: library, schema: main,"
    " tables: [{name: shelf_checks, config: {event_time: known_at}}]}]"
)
# An edit of what title_availability reads, and what is said of it.
CANNOT = {
    "a Python model": ("{{ ref('shelves') }}", "It is a Python model, and a replay runs SQL."),
    "one table twice": (
        "{{ source('shelves', 'shelf_checks') }} -- {{ ref('shelf_checks') }}\n",
        "It is the same table as ",
    ),
    "a table past dbt": (
        "main.shelf_checks -- {{ ref('shelf_checks') }}\n",
        "A replay cannot build it: Catalog Error: Table with name shelf_checks does not exist",
    ),
    "fails at a cut": (
        "{{ ref('shelf_checks') }} where case when (select count(*) from {{ ref('shelf_checks') }})"
        " < 4 then error('too few') else true end",
        "A replay cannot build it: Invalid Input Error: too few",
    ),
}


@pytest.mark.parametrize("kind", CANNOT)
def test_what_cannot_be_replayed_takes_nothing_from_the_other_marts(library, kind):
    read, said = CANNOT[kind]
    (library.path / "models/staging/shelves.py").write_text(
        "def model(dbt, session):\n    return dbt.ref('shelf_checks')\n"
    )
    (library.path / "models/sources.yml").write_text(SOURCE)
    library.replace_in(SQL, "{{ ref('shelf_checks') }}", read)
    assert library.dbt("build").returncode == 0
    answer = replay(library, succeeds=False)
    marts = {mart["mart"]: mart for mart in answer["marts"]}
    assert list(marts) == sorted(marts)
    assert "it cannot be replayed, for " in marts[TITLES]["problem"]
    assert said in marts[TITLES]["problem"]
    for name in (LABELS, ACTIVITY):
        assert marts[name]["has_passed"]
        assert marts[name]["cuts"] >= marts[name]["enough"] > 1
    records = json.loads((library.published / "replays.json").read_text())["marts"]
    assert {name.split(".")[2]: bool(record["failure"]) for name, record in records.items()} == {
        LABELS: False,
        ACTIVITY: False,
        TITLES: True,
    }


def test_two_marts_may_each_read_one_table_by_a_name_of_their_own(library):
    """No mart reads both names, so it is told what is known of each."""
    (library.path / "models/staging/visits.sql").write_text(
        "select * replace (cast(member_id as integer) as member_id) from"
        " {{ source('shelves', 'member_days') }}"
    )
    library.replace_in(
        SQL,
        "from {{ ref('shelf_checks') }}",
        "from {{ ref('shelf_checks') }} where (select count(*) from {{ ref('visits') }}) >= 0",
    )
    (library.path / "models/sources.yml").write_text(
        SOURCE.replace("{name: shelf_checks", "{name: member_days")
    )
    assert library.dbt("build").returncode == 0
    assert replay(library)["has_passed"]


def test_a_microbatch_mart_is_told_what_builds_its_batches_again(library):
    library.replace_in("seeds/shelf_checks.csv", "north,11,2026-03-01", "north,11,2026-02-01")
    configured = (
        "{{ config(materialized='incremental', incremental_strategy='microbatch',"
        " begin='2026-03-01', batch_size='month', on_schema_change='fail') }}\n"
    )
    (library.path / SQL).write_text(configured + (library.path / SQL).read_text())
    assert library.dbt("build", "--full-refresh").returncode == 0
    (mart,) = replay(library, "--select", TITLES, succeeds=False)["marts"]
    assert "1 rows extra" in mart["problem"]
    assert (
        f"dbt builds {TITLES} by batches: rows before its begin are never made" in mart["problem"]
    )
    assert f"`dbt run --select {TITLES} --event-time-start <first day>" in mart["problem"]
    assert "--full-refresh" not in mart["problem"]


# Profiles


def test_a_warehouse_in_memory_is_refused_in_words(library):
    library.replace_in("profiles.yml", "path: library.duckdb", "path: ':memory:'")
    assert library.dbt("build").returncode == 0
    for mart in replay(library, succeeds=False)["marts"]:
        assert "Its database is in memory, of which nothing is left" in mart["problem"]


def test_a_path_relative_to_where_dbt_was_started_is_refused_in_words(library):
    (library.path / "library.duckdb").unlink()
    elsewhere = ["--project-dir", str(library.path), "--profiles-dir", str(library.path)]
    assert library.run("dbt", "build", *elsewhere, cwd=library.path.parent).returncode == 0
    before = library.published_bytes()
    said = " ".join(refusal(library).split())
    assert f"{library.path / 'library.duckdb'} does not exist. A relative path in a profile" in said
    assert "Write an absolute path in profiles.yml" in said
    assert library.published_bytes() == before


def test_databases_without_alias_and_views_in_them_are_replayed(library):
    """DuckDB names a file by what is before its first dot."""
    for name in ("branches.v1", "marks"):
        with duckdb.connect(str(library.path / f"{name}.duckdb")) as connection:
            connection.execute(
                "create table checks as select * replace (waiting_days::float as waiting_days)"
                f" from read_csv('{library.path / 'seeds/shelf_checks.csv'}')"
            )
            database = name.split(".")[0]
            connection.execute(f"create view shelf_checks as from {database}.main.checks")
    library.replace_in(
        "profiles.yml",
        "      threads: 2\n",
        "      threads: 2\n      attach: [{path: branches.v1.duckdb}, {path: marks.duckdb}]\n",
    )
    (library.path / "models/sources.yml").write_text(
        "".join(
            f"{'sources:' if name == 'marks' else ''}\n  - {{name: {name}, database: {name},"
            " schema: main, tables: [{name: shelf_checks, config: {event_time: known_at}}]}"
            for name in ("marks", "branches")
        )
    )
    library.replace_in(
        SQL,
        "{{ ref('shelf_checks') }}",
        "{{ source('branches', 'shelf_checks') }} semi join"
        " {{ source('marks', 'shelf_checks') }} using (branch_code, title_id, known_at)",
    )
    assert library.dbt("build").returncode == 0
    (mart,) = replay(library, "--select", TITLES)["marts"]
    assert mart["withheld"] > 0
