"""Describes a saved training set twice: as a page for people and as Croissant for machines.

Both are drawn from one record of what was measured, and from nothing else: the same record gives
the same bytes. The record is JSON-compatible; its keys are read by name below and in
``page.html.jinja``.
"""

import json
from datetime import UTC, datetime
from itertools import groupby
from typing import Any
from urllib.parse import quote

import jinja2
import mlcroissant as mlc
from markupsafe import Markup, escape

from martfeast.datasets.drift import DIFFERENT, LOOK
from martfeast.feature_types import (
    BOOL,
    FLOAT32,
    FLOAT64,
    INT32,
    INT64,
    TIMESTAMP,
    feature_type,
)

Json = dict[str, Any]

VERDICTS = {"alike": "alike", "look": "look closer", "different": "different"}
_SENTENCE = {**VERDICTS, "look": "worth a closer look"}

CONFORMS_TO = ["http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0"]
# The reader of mlcroissant knows Parquet by this name only, not by the registered
# application/vnd.apache.parquet.
PARQUET = "application/x-parquet"
RECORD_SET = "rows"

_NICE_TOPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)


def card_html(record: Json) -> str:
    """Return one HTML page that needs nothing else: no network, no script, no font.

    Args:
        record: what was measured of a saved training set.

    Returns:
        The page. Everything that comes from the record is escaped.

    """
    return _environment().get_template("page.html.jinja").render(**_view(record)).lstrip()


def croissant(record: Json) -> Json:
    """Return the record as Croissant 1.0 JSON-LD with its responsible-AI fields.

    The sentences follow the Croissant RAI vocabulary 1.0
    (https://docs.mlcommons.org/croissant/docs/croissant-rai-spec.html). A licence and a note on
    personal data are stated only if the record has them, as ``license`` and
    ``personal_information``: neither can be measured.

    Args:
        record: what was measured of a saved training set.

    Returns:
        JSON-LD that ``mlcroissant.Dataset`` accepts. Its file is named relative to it.

    """
    file, created = record["file"], record["created_at"]
    personal = record.get("personal_information")
    metadata = mlc.Metadata(
        name=record["saved_dataset"],
        description=f"{record['title']}. {record['description']}",
        url=record["url"],
        version=f"{record['number']}.0.0",
        date_created=created,
        date_published=created,
        cite_as=_citation(record),
        license=record.get("license") or None,
        creators=[mlc.Organization(id=quote(record["owner"], safe=""), name=record["owner"])],
        conforms_to=CONFORMS_TO,
        distribution=[
            mlc.FileObject(
                id=file["name"],
                name=file["name"],
                description="All rows and columns of this version, in one file.",
                content_url=file["name"],
                content_size=f"{file['bytes']} B",
                encoding_formats=[PARQUET],
                sha256=file["sha256"],
            )
        ],
        record_sets=[
            mlc.RecordSet(
                id=RECORD_SET,
                name=RECORD_SET,
                description=f"The {file['rows']:,} rows, as they are in {file['name']}.",
                fields=[_field(column, file["name"]) for column in record["columns"]],
            )
        ],
        data_collection=_collection(record),
        data_collection_timeframe=[record["inputs"]["from"], record["inputs"]["until"]],
        data_collection_missing_data=_missing(record),
        data_preprocessing_protocol=[_step(step) for step in record["steps"]],
        data_annotation_protocol=[_annotation(record)],
        data_biases=_biases(record),
        data_limitations=[*record["limits"], _drift(record["drift"])],
        data_use_cases=[
            f"Made for the feature service {record['inputs']['registry']['feature_service']}"
            f" (maturity: {record['maturity']}): to train and to judge models that predict"
            f" {record['label']['column']}. Any other use has not been looked at."
        ],
        data_release_maintenance_plan=(
            f"This is version {record['number']} of {record['name']}, written {moment(created)} and"
            f" kept by {record['owner']}. Its content does not change: the file's SHA-256 is"
            f" {file['sha256']}. New data becomes a new version under a new number."
        ),
        personal_sensitive_information=[personal] if personal else None,
    )
    jsonld: Json = metadata.to_json()
    return jsonld


def percent(share: float) -> str:
    """Return a share in percent, never rounded to a 0% or 100% that it is not."""
    if share in (0, 1):
        return f"{share:.0%}"
    for decimals in (1, 2):
        text = f"{share:.{decimals}%}"
        if float(text[:-1]) not in (0, 100):
            return text
    return "<0.01%" if share < 0.5 else ">99.99%"


def number(value: float | str | bool | None) -> str:
    """Return a value of a column for reading: four digits that count, moments without the T."""
    if value is None:
        return ""
    if isinstance(value, str):
        return moment(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def moment(text: str) -> str:
    """Return an ISO moment as 2013-01-31 or 2013-01-31 05:00, in UTC; other text unchanged."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return text
    if len(text) <= len("2013-01-31"):
        return text
    parsed = parsed.astimezone(UTC) if parsed.tzinfo else parsed
    return parsed.strftime("%Y-%m-%d" if parsed.time() == parsed.time().min else "%Y-%m-%d %H:%M")


def duration(minutes: float) -> str:
    """Return minutes in the unit a person would use."""
    for unit, size in (("days", 1440), ("hours", 60)):
        if minutes >= 2 * size:
            return f"{minutes / size:.1f} {unit}"
    return f"{minutes:.0f} minutes"


def index(psi: float) -> str:
    """Return a population stability index for reading."""
    return "<0.001" if 0 < psi < 0.0005 else f"{psi:.3f}"


def _tick(share: float) -> str:
    return f"{100 * share:.4g}%"


def _size(size: int) -> str:
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} bytes"


def _breakable(name: object) -> Markup:
    """Let a long name break after its underscores and dots."""
    return Markup(str(escape(name)).replace("_", "_<wbr>").replace(".", ".<wbr>"))


def _whole(text: str) -> Markup:
    """Keep a short text, such as a moment, on one line."""
    whole = Markup('<span class="whole">{}</span>')
    return whole.format(text) if len(text) <= len("2013-01-31 05:00") else escape(text)


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("martfeast.datasets.card", ""),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(
        breakable=_breakable,
        count=lambda value: f"{value:,}",
        duration=duration,
        index=index,
        moment=lambda text: _whole(moment(text)),
        number=lambda value: _whole(number(value)),
        percent=percent,
        pos=lambda share: f"{100 * min(max(share, 0), 1):.2f}",
        quoted=json.dumps,
        size=_size,
        tick=_tick,
        verdict=VERDICTS.__getitem__,
    )
    return environment


def _view(record: Json) -> Json:
    """Return what the template draws: the record, and what is worked out from it."""
    audit, drift = record["label_audit"], record["drift"]
    periods = audit["periods"]
    names = [period["period"] for period in periods]
    labelled = [each["labelled"] / each["rows"] if each["rows"] else None for each in periods]
    rates = [period["base_rate"] for period in periods]
    is_share = audit["is_share"]
    known = [rate for rate in rates if rate is not None]
    scale = _scale(known, is_share, room=1.15) if known else None
    columns = record["columns"]
    missing = sorted(
        (column for column in columns if column["missing_share"] > 0),
        key=lambda column: (-column["missing_share"], column["name"]),
    )
    drifted = sorted(
        drift["features"] if drift else [], key=lambda feature: (-feature["psi"], feature["column"])
    )
    return {
        "record": record,
        "labelled_share": audit["labelled"] / audit["rows"] if audit["rows"] else 0,
        "labelled_line": _line(names, labelled, (0, 1)),
        "rate_line": _line(names, rates, scale) if scale else None,
        "rate_name": "Base rate" if is_share else "Mean of the label",
        "is_share": is_share,
        "percent": percent,
        "rate": percent if is_share else number,
        "share_tick": _tick,
        "rate_tick": _tick if is_share else number,
        "ticks": _ticks(names),
        "groups": [_group(group, audit["base_rate"], is_share) for group in record["groups"]],
        "missing": missing,
        "drifted": drifted,
        "drift_top": max([1.5 * drift["threshold"], *(f["psi"] for f in drifted)]) if drift else 1,
        "marts": _marts(record),
        "look": LOOK,
        "different": DIFFERENT,
    }


def _nice_top(highest: float) -> float:
    return next((top for top in _NICE_TOPS if top >= highest), max(1.0, highest))


def _scale(values: list[float], is_share: bool, room: float = 1) -> tuple[float, float]:
    """Return the ends of a scale for values of a label: from 0, unless there are lower ones.

    room: above the highest share, as a factor.
    """
    if is_share:
        return 0, _nice_top(room * max(values))
    low, high = min(0, *values), max(0, *values)
    return (low, high) if low < high else (low - 1, high + 1)


def _line(names: list[str], values: list[float | None], scale: tuple[float, float]) -> Json:
    """Return a line over periods in percent of a plot's width and height, y downwards.

    Periods without a value break the line; a run of one is a dot.
    """
    width, (low, high) = max(len(values) - 1, 1), scale
    every: list[Json | None] = [
        {
            "name": name,
            "value": value,
            "x": round(100 * place / width if len(values) > 1 else 50, 2),
            "y": round(100 - 100 * (value - low) / (high - low), 2),
        }
        if value is not None
        else None
        for place, (name, value) in enumerate(zip(names, values, strict=True))
    ]
    runs = [[point for point in run if point] for known, run in groupby(every, bool) if known]
    points = [point for run in runs for point in run]
    return {
        "low": low,
        "middle": (low + high) / 2,
        "top": high,
        "points": points,
        "runs": runs,
        "highest": max(points, key=lambda point: point["value"], default=None),
        "lowest": min(points, key=lambda point: point["value"], default=None),
    }


def _ticks(names: list[str]) -> list[Json]:
    """Return up to four periods to name below a plot, the first and the last among them.

    As many as fit side by side on a phone, which has room for about 36 letters.
    """
    last = len(names) - 1
    if last < 1:
        return [{"name": name, "x": 50} for name in names]
    count = min(last, 3, max(1, 36 // max(map(len, names)) - 1))
    places = sorted({round(last * tick / count) for tick in range(count + 1)})
    return [{"name": names[place], "x": round(100 * place / last, 2)} for place in places]


def _group(group: Json, base_rate: float | None, is_share: bool) -> Json:
    """Return a group with the scales that its levels share."""
    levels = group["levels"]
    keys = ("base_rate_low", "base_rate", "base_rate_high")
    rates = [rate for level in levels for key in keys if (rate := level[key]) is not None]
    shares = [level[key] for level in levels for key in ("population_share", "share_high")]
    return {
        **group,
        "share_top": _nice_top(max(shares, default=1)),
        "rate_scale": _scale([*rates, base_rate or 0], is_share) if rates else None,
        "labelled": _extremes(levels, "labelled_share"),
        "psi_top": max(1.6 * DIFFERENT, 1.1 * group["psi_high"]),
    }


def _extremes(levels: list[Json], key: str) -> tuple[Json, Json] | None:
    """Return the levels with the lowest and the highest value of a key, if they differ.

    Levels of few rows are passed over: their values say little.
    """
    known = sorted(
        (level for level in levels if level[key] is not None and not level["is_small"]),
        key=lambda level: level[key],
    )
    if not known or known[0][key] == known[-1][key]:
        return None
    return known[0], known[-1]


def _marts(record: Json) -> list[Json]:
    """Return the columns by mart, each mart with the path that most of its columns came along."""
    versions = {mart["mart"]: mart for mart in record["inputs"]["marts"]}
    marts = []
    for name in dict.fromkeys(column["mart"] for column in record["columns"]):
        columns = [
            {**column, "path": _path(column)}
            for column in record["columns"]
            if column["mart"] == name
        ]
        paths = [column["path"] for column in columns]
        marts.append(
            {
                "name": name,
                "version": versions.get(name),
                "columns": columns,
                "path": max(paths, key=paths.count) if name else [],
            }
        )
    return marts


def _path(column: Json) -> list[str]:
    """Return the way of a column from its sources to Feast, a step a text."""
    mart = column["mart"]
    if mart is None:
        return []
    path = column["path"]
    steps = [" + ".join(path["sources"])] if path["sources"] else []
    return [*steps, *(model for model in path["models"] if model != mart), mart]


def _field(column: Json, file: str) -> mlc.Field:
    kind = feature_type(column["type"])
    data_type = mlc.DataType.DATE if column["type"].lower() == "date" else mlc.DataType.TEXT
    if kind:
        # By name: a list has the data type of its elements.
        data_type = {
            **dict.fromkeys((INT64.name, INT32.name), mlc.DataType.INTEGER),
            **dict.fromkeys((FLOAT64.name, FLOAT32.name), mlc.DataType.FLOAT),
            BOOL.name: mlc.DataType.BOOL,
            TIMESTAMP.name: mlc.DataType.DATETIME,
        }.get(kind.name, mlc.DataType.TEXT)
    return mlc.Field(
        id=f"{RECORD_SET}/{quote(column['name'], safe='')}",
        name=column["name"],
        description=column["description"],
        data_types=[data_type],
        repeated=True if kind and kind.is_list else None,
        source=mlc.Source(file_object=file, extract=mlc.Extract(column=column["name"])),
    )


def _citation(record: Json) -> str:
    braces = str.maketrans("{}", "()")
    fields = {
        "title": f"{record['title']}, version {record['number']}",
        "author": f"{{{record['owner'].translate(braces)}}}",
        "year": record["created_at"][:4],
        "url": record["url"],
    }
    lines = [
        f"  {key} = {{{value if key == 'author' else value.translate(braces)}}}"
        for key, value in fields.items()
    ]
    return ",\n".join([f"@misc{{{record['saved_dataset']}", *lines]) + "\n}"


def _collection(record: Json) -> str:
    inputs, label = record["inputs"], record["label"]
    features = [column for column in record["columns"] if column["role"] == "feature"]
    marts = {column["mart"] for column in features}
    test = inputs["test_from"]
    test = f" Rows from {moment(test)} on are the test part." if test else ""
    return (
        f"Each row is a row of the mart {label['mart']} between {moment(inputs['from'])} and"
        f" {moment(inputs['until'])} (UTC), with {len(features)} features out of"
        f" {len(marts)} marts joined as they were known at the moment in {label['asked_at']}."
        f" Labels count that were known by {moment(inputs['as_of'])}.{test}"
    )


def _missing(record: Json) -> str:
    audit, columns = record["label_audit"], record["columns"]
    missing = [column for column in columns if column["missing_share"] > 0]
    sentences = [
        f"{audit['labelled']:,} of {audit['rows']:,} rows have a label"
        f" ({percent(audit['labelled'] / audit['rows']) if audit['rows'] else 'none'})."
    ]
    if audit["reasons"]:
        reasons = "; ".join(f"{r['reason']} ({r['rows']:,} rows)" for r in audit["reasons"])
        sentences.append(f"Labels are missing for these reasons: {reasons}.")
    if record["inputs"]["unlabelled"] == "keep":
        sentences.append("Rows without a label are in the file.")
    else:
        sentences.append("Rows without a label were left out of the file.")
    sentences.append(f"{len(missing)} of {len(columns)} columns have missing values.")
    if missing:
        most = max(missing, key=lambda column: column["missing_share"])
        sentences.append(f"The most are in {most['name']}: {percent(most['missing_share'])}.")
    return " ".join(sentences)


def _step(step: Json) -> str:
    left_out = "; ".join(f"{reason} ({rows:,} rows)" for reason, rows in step["left_out"].items())
    text = f"{step['rows']:,} rows were left after the step: {step['step']}."
    return text + f" Left out were those {left_out}." * bool(left_out)


def _annotation(record: Json) -> str:
    label, maturity = record["label"], record["label_audit"]["maturity_minutes"]
    text = f"The label {label['column']} of the mart {label['mart']}: {label['description']}"
    text = f"{text.rstrip('.')}. It is known from the moment in {label['known_at']} on."
    if maturity:
        text += (
            f" Half of the labels were known within {duration(maturity['median'])},"
            f" 95% within {duration(maturity['p95'])}."
        )
    return text


def _biases(record: Json) -> list[str]:
    if not record["groups"]:
        return ["No groups were declared, so differences between groups were not measured."]
    is_share = record["label_audit"]["is_share"]
    return [_bias(group, is_share) for group in record["groups"]]


def _bias(group: Json, is_share: bool) -> str:
    levels = group["levels"]
    text = (
        f"By {group['group']}, the rows of the file and all rows of the label mart in the time"
        f" range are {_SENTENCE[group['verdict']]} (population stability index"
        f" {index(group['psi'])}, interval {index(group['psi_low'])} to"
        f" {index(group['psi_high'])}; under {LOOK} is alike, over {DIFFERENT} is different)."
    )
    rate, form = ("base rate", percent) if is_share else ("mean of the label", number)
    for key, what, shown in (
        ("labelled_share", "share of rows with a label", percent),
        ("base_rate", rate, form),
    ):
        if extremes := _extremes(levels, key):
            low, high = extremes
            text += (
                f" The {what} runs from {shown(low[key])} ({low['level']}) to"
                f" {shown(high[key])} ({high['level']})."
            )
    if small := [level["level"] for level in levels if level["is_small"]]:
        text += f" Too few rows to say anything of: {', '.join(small)}."
    return text


def _drift(drift: Json | None) -> str:
    if not drift:
        return "The file has no train and test part, so drift between them was not measured."
    features, (first, second) = drift["features"], drift["between"]
    different = [f["column"] for f in features if f["verdict"] == "different"]
    names = f": {', '.join(different)}" * bool(different)
    return (
        f"Between {first} ({drift['rows'][0]:,} rows) and {second} ({drift['rows'][1]:,} rows),"
        f" {len(different)} of {len(features)} features have a population stability index above"
        f" {drift['threshold']}{names}."
    )
