"""A dataset's record as Croissant, for machines; drawn from the record and nothing else."""

import json
from typing import Any
from urllib.parse import quote

from martfeast.datasets.card.wording import (
    READINGS,
    duration,
    extremes,
    index,
    moment,
    number,
    percent,
)
from martfeast.datasets.record import (
    ColumnFacts,
    DataFile,
    DatasetRecord,
    GroupFacts,
    SplitDrift,
    Step,
)
from martfeast.declaration.declared import DIFFERENT, LOOK
from martfeast.extras import extra
from martfeast.feature_types import (
    BOOL,
    FLOAT32,
    FLOAT64,
    INT32,
    INT64,
    TIMESTAMP,
    feature_type,
)

with extra("datasets"):
    import mlcroissant as mlc

Json = dict[str, Any]

_SENTENCE = {**READINGS, "look": "worth a closer look"}

CONFORMS_TO = ["http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0"]
# The reader of mlcroissant knows Parquet by this name only, not by the registered
# application/vnd.apache.parquet.
PARQUET = "application/x-parquet"
RECORD_SET = "rows"


def croissant_text(record: DatasetRecord) -> str:
    """Return the record as the text of a Croissant file."""
    return json.dumps(croissant(record), indent=2, allow_nan=False) + "\n"


def croissant(record: DatasetRecord) -> Json:
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
    file, created = record.file, record.created_at
    personal = record.about.personal_information
    metadata = mlc.Metadata(
        name=record.saved_dataset,
        description=f"{record.about.title}. {record.about.description}",
        url=record.about.url,
        version=f"{record.number}.0.0",
        date_created=created,
        date_published=created,
        cite_as=_citation(record),
        license=record.about.license or None,
        creators=[mlc.Organization(id=quote(record.about.owner, safe=""), name=record.about.owner)],
        conforms_to=CONFORMS_TO,
        distribution=[_file(file)],
        record_sets=[
            mlc.RecordSet(
                id=RECORD_SET,
                name=RECORD_SET,
                description=f"The {file.rows:,} rows, as they are in {file.name}.",
                fields=[_field(column, file.name) for column in record.columns],
            )
        ],
        data_collection=_collection(record),
        data_collection_timeframe=[record.inputs.from_, record.inputs.until],
        data_collection_missing_data=_missing(record),
        data_preprocessing_protocol=[_step(step) for step in record.steps],
        data_annotation_protocol=[_annotation(record)],
        data_biases=_biases(record),
        data_limitations=[*record.limits, _drift(record.drift)],
        data_use_cases=[
            f"Made for the feature service {record.inputs.registry.feature_service}"
            f" (maturity: {record.about.maturity}): to train and to judge models that predict"
            f" {record.label.column}. Any other use has not been looked at."
        ],
        data_release_maintenance_plan=(
            f"This is version {record.number} of {record.name}, written {moment(created)} and"
            f" kept by {record.about.owner}. Its content does not change: the file's SHA-256 is"
            f" {file.sha256}. New data becomes a new version under a new number."
        ),
        personal_sensitive_information=[personal] if personal else None,
    )
    jsonld: Json = metadata.to_json()
    return jsonld


def _file(file: DataFile) -> mlc.FileObject:
    return mlc.FileObject(
        id=file.name,
        name=file.name,
        description="All rows and columns of this version, in one file.",
        content_url=file.name,
        content_size=f"{file.bytes} B",
        encoding_formats=[PARQUET],
        sha256=file.sha256,
    )


def _field(column: ColumnFacts, file: str) -> mlc.Field:
    kind = feature_type(column.type)
    data_type = mlc.DataType.DATE if column.type.lower() == "date" else mlc.DataType.TEXT
    if kind:
        # By name: a list has the data type of its elements.
        data_type = {
            **dict.fromkeys((INT64.name, INT32.name), mlc.DataType.INTEGER),
            **dict.fromkeys((FLOAT64.name, FLOAT32.name), mlc.DataType.FLOAT),
            BOOL.name: mlc.DataType.BOOL,
            TIMESTAMP.name: mlc.DataType.DATETIME,
        }.get(kind.name, mlc.DataType.TEXT)
    return mlc.Field(
        id=f"{RECORD_SET}/{quote(column.name, safe='')}",
        name=column.name,
        description=column.description,
        data_types=[data_type],
        repeated=True if kind and kind.is_list else None,
        source=mlc.Source(file_object=file, extract=mlc.Extract(column=column.name)),
    )


def _citation(record: DatasetRecord) -> str:
    braces = str.maketrans("{}", "()")
    fields = {
        "title": f"{record.about.title}, version {record.number}",
        "author": f"{{{record.about.owner.translate(braces)}}}",
        "year": record.created_at[:4],
        "url": record.about.url,
    }
    lines = [
        f"  {key} = {{{value if key == 'author' else value.translate(braces)}}}"
        for key, value in fields.items()
    ]
    return ",\n".join([f"@misc{{{record.saved_dataset}", *lines]) + "\n}"


def _collection(record: DatasetRecord) -> str:
    inputs, label = record.inputs, record.label
    features = [column for column in record.columns if column.role == "feature"]
    marts = {column.mart for column in features}
    test = inputs.test_from
    test = f" Rows from {moment(test)} on are the test part." if test else ""
    return (
        f"Each row is a row of the mart {label.mart} between {moment(inputs.from_)} and"
        f" {moment(inputs.until)} (UTC), with {len(features)} features out of"
        f" {len(marts)} marts joined as they were known at the moment in {label.asked_at}."
        f" Labels count that were known by {moment(inputs.as_of)}.{test}"
    )


def _missing(record: DatasetRecord) -> str:
    audit, columns = record.label_audit, record.columns
    missing = [column for column in columns if column.missing_share > 0]
    sentences = [
        f"{audit.labelled:,} of {audit.rows:,} rows have a label"
        f" ({percent(audit.labelled / audit.rows) if audit.rows else 'none'})."
    ]
    if audit.reasons:
        reasons = "; ".join(f"{r.reason} ({r.rows:,} rows)" for r in audit.reasons)
        sentences.append(f"Labels are missing for these reasons: {reasons}.")
    if record.inputs.unlabelled == "keep":
        sentences.append("Rows without a label are in the file.")
    else:
        sentences.append("Rows without a label were left out of the file.")
    sentences.append(f"{len(missing)} of {len(columns)} columns have missing values.")
    if missing:
        most = max(missing, key=lambda column: column.missing_share)
        sentences.append(f"The most are in {most.name}: {percent(most.missing_share)}.")
    return " ".join(sentences)


def _step(step: Step) -> str:
    left_out = "; ".join(f"{reason} ({rows:,} rows)" for reason, rows in step.left_out.items())
    text = f"{step.rows:,} rows were left after the step: {step.step}."
    return text + f" Left out were those {left_out}." * bool(left_out)


def _annotation(record: DatasetRecord) -> str:
    label, maturity = record.label, record.label_audit.maturity_minutes
    text = f"The label {label.column} of the mart {label.mart}: {label.description}"
    text = f"{text.rstrip('.')}. It is known from the moment in {label.known_at} on."
    if maturity:
        text += (
            f" Half of the labels were known within {duration(maturity.median)},"
            f" 95% within {duration(maturity.p95)}."
        )
    return text


def _biases(record: DatasetRecord) -> list[str]:
    if not record.groups:
        return ["No groups were declared, so differences between groups were not measured."]
    is_share = record.label_audit.is_share
    return [_bias(group, is_share) for group in record.groups]


def _bias(group: GroupFacts, is_share: bool) -> str:
    levels = group.levels
    text = (
        f"By {group.group}, the rows of the file and all rows of the label mart in the time"
        f" range are {_SENTENCE[group.reading]} (population stability index"
        f" {index(group.psi)}, interval {index(group.psi_low)} to"
        f" {index(group.psi_high)}; under {LOOK} is alike, over {DIFFERENT} is different)."
    )
    rate, form = ("base rate", percent) if is_share else ("mean of the label", number)
    for key, what, shown in (
        ("labelled_share", "share of rows with a label", percent),
        ("base_rate", rate, form),
    ):
        if found := extremes(levels, key):
            low, high = found
            text += (
                f" The {what} runs from {shown(getattr(low, key))} ({low.level}) to"
                f" {shown(getattr(high, key))} ({high.level})."
            )
    if small := [level.level for level in levels if level.is_small]:
        text += f" Too few rows to say anything of: {', '.join(small)}."
    return text


def _drift(drift: SplitDrift | None) -> str:
    if not drift:
        return "The file has no train and test part, so drift between them was not measured."
    features, (first, second) = drift.features, drift.between
    different = [f.column for f in features if f.reading == "different"]
    names = f": {', '.join(different)}" * bool(different)
    return (
        f"Between {first} ({drift.rows[0]:,} rows) and {second} ({drift.rows[1]:,} rows),"
        f" {len(different)} of {len(features)} features have a population stability index above"
        f" {drift.threshold}{names}."
    )
