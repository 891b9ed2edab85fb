{#
  Publishes the marts that Feast reads: every mart (a model with `config.meta.feast`) whose present rows the
  evidence vouches for. Works at the end of any command that builds or tests; `dbt run` alone has no tests to
  show, so it publishes nothing.

  In the folder `published_path` (a variable of this package, relative to the project's root):

      marts/<model>/<version>.parquet  a version: written once, never changed
      releases/<number>.json           a release: which version of each mart, and the evidence for it
      current.json                     the release that holds now, and the verdict on each mart
      pending.json                     the versions that the newest publishing run set out to write
      publishing.duckdb                empty; locked while a run publishes

  A release begins to hold when current.json is replaced, which is one rename: a reader sees the old set of
  versions or the new one. Whatever is cut off before that leaves the old release as it was.

  results: dbt's own list of results, as every on-run-end hook has it; empty when a start hook failed.
#}
{% macro publish_marts(results) -%}
  {%- if execute and results and flags.WHICH in ['build', 'run', 'test', 'seed', 'snapshot'] -%}
    {%- if target.type == 'duckdb' -%}
      {%- set folder = (var('published_path', none) or 'data/published').rstrip('/') -%}
      {# Relative to the project, wherever dbt is run from. #}
      {%- set root = invocation_args_dict.get('project_dir') or '.' -%}
      {%- do martfeast.publish_from_duckdb(folder if folder.startswith('/') else root ~ '/' ~ folder, folder) -%}
    {%- else -%}
      {%- do log('martfeast: nothing was published: it publishes from DuckDB, and target ' ~ target.name ~ ' is ' ~ target.type, info=true) -%}
    {%- endif -%}
  {%- endif -%}
{%- endmacro %}


{# folder: where to publish. shown: the same as the project's variable has it, for messages. #}
{% macro publish_from_duckdb(folder, shown) -%}
  {%- do martfeast.make_folder(folder) -%}
  {# DuckDB locks an attached file until it is detached or the process ends: `feast apply` waits for that. #}
  {%- do run_query('attach ' ~ martfeast.literal(folder ~ '/publishing.duckdb') ~ ' as martfeast_publishing') -%}
  {%- do martfeast.record_source_loads() -%}
  {%- do martfeast.load_current_release(folder, shown) -%}
  {%- set schema = martfeast.evidence_schema() -%}
  {%- set files = 'glob(' ~ martfeast.glob_literal(folder, '/marts/*/*.parquet') ~ ') as files' -%}
  {%- set version = run_started_at.strftime('%Y%m%dT%H%M%SZ') ~ '-' ~ invocation_id[:8] -%}

  {%- do run_query('create or replace temp table martfeast_verdicts as ' ~ martfeast.verdicts_sql()) -%}
  {%- set candidates = run_query(
    "select verdict.mart_id from martfeast_verdicts as verdict"
    ~ " left join martfeast_current as current on verdict.mart_id = current.unique_id and current.version is not null"
    ~ " left join " ~ files ~ " on ends_with(files.file, '/' || current.path)"
    ~ " where len(verdict.reasons) = 0"
    ~ "   and (verdict.is_view or current.built_by is distinct from verdict.built_by or files.file is null)"
    ~ " order by verdict.mart_id"
  ).rows -%}
  {%- do run_query(
    'create or replace temp table martfeast_new (mart_id varchar, version varchar, path varchar, is_copied boolean,'
    ~ ' row_count bigint, content_hash varchar, columns json, first_known_at timestamp, last_known_at timestamp)'
  ) -%}
  {%- for candidate in candidates -%}
    {%- do martfeast.measure_mart(graph.nodes[candidate['mart_id']], version) -%}
  {%- endfor -%}
  {%- do run_query(
    "update martfeast_new set is_copied = false, version = current.version, path = current.path"
    ~ " from martfeast_current as current, " ~ files
    ~ " where martfeast_new.mart_id = current.unique_id"
    ~ "   and martfeast_new.content_hash = current.content_hash"
    ~ "   and martfeast_new.columns::varchar = current.columns::varchar"
    ~ "   and ends_with(files.file, '/' || current.path)"
  ) -%}

  {%- set copies = run_query('select mart_id, path from martfeast_new where is_copied order by mart_id').rows -%}
  {%- if copies -%}
    {%- do log(
      'martfeast: writing ' ~ copies | length ~ (' version' if copies | length == 1 else ' versions') ~ ' to ' ~ shown
      ~ '; if that fails, the last release stays: mend the cause, then run dbt build', info=true
    ) -%}
    {%- do martfeast.make_folder(folder ~ '/releases') -%}
    {%- do martfeast.write_json(
      'select ' ~ martfeast.literal(invocation_id) ~ ' as invocation_id, list(path) as paths from martfeast_new where is_copied',
      folder ~ '/pending.json'
    ) -%}
    {%- for copy in copies -%}
      {%- set mart = graph.nodes[copy['mart_id']] -%}
      {%- do martfeast.make_folder(folder ~ '/marts/' ~ martfeast.mart_folder(mart)) -%}
      {%- do martfeast.copy_mart(mart, folder ~ '/' ~ copy['path']) -%}
    {%- endfor -%}
  {%- endif -%}

  {%- do run_query('create or replace temp table martfeast_release as ' ~ martfeast.release_sql()) -%}
  {%- set change = run_query(
    "select coalesce(max(old.release_number), 0)::bigint as old_number, count(*) filter (where"
    ~ "   old.version is distinct from new.version) as change_count"
    ~ " from martfeast_current as old full join martfeast_release as new on old.unique_id = new.unique_id"
  ).rows[0] -%}
  {%- set number = (change['old_number'] | int) + (1 if change['change_count'] else 0) -%}
  {%- if number > 0 -%}
    {%- set record -%}
      select
        2 as format,
        {{ number }} as release_number,
        {{ martfeast.literal(invocation_id) }} as judged_by,
        {{ martfeast.literal(run_started_at.strftime('%Y-%m-%dT%H:%M:%SZ')) }} as judged_at,
        coalesce(list(martfeast_release order by mart), []) as marts
      from martfeast_release
    {%- endset -%}
    {%- if change['change_count'] -%}
      {%- do martfeast.make_folder(folder ~ '/releases') -%}
      {%- do martfeast.write_record(record, folder ~ '/releases/' ~ '%06d' % number ~ '.json') -%}
    {%- endif -%}
    {%- do martfeast.write_record(record, folder ~ '/current.json') -%}
  {%- endif -%}

  {%- do run_query(
    'insert into ' ~ schema ~ '.publications select unique_id, mart, version, ' ~ number
    ~ ', built_by, code_checksum, row_count, content_hash, first_known_at, last_known_at, published_at::timestamp'
    ~ ' from martfeast_release where version is not null and (unique_id, version) not in'
    ~ ' (select (node_id, version) from ' ~ schema ~ '.publications);'
    ~ ' insert into ' ~ schema ~ '.verdicts select ' ~ martfeast.literal(invocation_id)
    ~ ', unique_id, len(held_back) = 0, held_back, warnings, version from martfeast_release'
  ) -%}
  {%- do run_query('detach martfeast_publishing') -%}
  {%- do martfeast.report_release(shown, number, change['change_count']) -%}
{%- endmacro %}


{#
  Note how new the sources under the marts are: the same `loaded_at` that `dbt source freshness` looks at. It
  ties tests to the load they ran on, and it is what the gate judges freshness by. A source that something has
  failed on in this run may not be there, and is left out.
#}
{% macro record_source_loads() -%}
  {%- set schema = martfeast.evidence_schema() -%}
  {%- set source_ids = run_query(
    'with recursive ancestry as ('
    ~ 'select node_id from ' ~ schema ~ '.nodes where is_mart'
    ~ ' union select unnest(nodes.parents) from ancestry'
    ~ ' inner join ' ~ schema ~ ".nodes on ancestry.node_id = nodes.node_id)"
    ~ " select node_id from ancestry where node_id like 'source.%'"
    ~ ' except'
    ~ ' (with recursive failed as ('
    ~ 'select node_id from ' ~ schema ~ '.results where invocation_id = ' ~ martfeast.literal(invocation_id)
    ~ "   and status in ('error', 'runtime error')"
    ~ ' union select unnest(nodes.parents) from failed'
    ~ ' inner join ' ~ schema ~ '.nodes on failed.node_id = nodes.node_id)'
    ~ ' select node_id from failed)'
  ).columns[0].values() -%}
  {%- set queries = [] -%}
  {%- for source_id in source_ids -%}
    {%- set source = graph.sources[source_id] -%}
    {%- set loaded_at = none -%}
    {%- if source.loaded_at_query -%}
      {%- set loaded_at = '(' ~ source.loaded_at_query ~ ')' -%}
    {%- elif source.loaded_at_field -%}
      {%- set loaded_at = '(select max(' ~ source.loaded_at_field ~ ') from ' ~ source.relation_name
        ~ (' where ' ~ source.freshness.filter if source.freshness and source.freshness.filter else '') ~ ')' -%}
    {%- endif -%}
    {%- if loaded_at -%}
      {%- do queries.append(
        'select ' ~ martfeast.literal(invocation_id) ~ ', ' ~ martfeast.literal(source_id)
        ~ ', make_timestamp(epoch_us(' ~ loaded_at ~ '))'
      ) -%}
    {%- endif -%}
  {%- endfor -%}
  {%- if queries -%}
    {%- do run_query('insert into ' ~ schema ~ '.source_loads ' ~ queries | join(' union all ')) -%}
  {%- endif -%}
{%- endmacro %}


{#
  Load the marts of the current release, one row per mart; none when nothing is published yet. A current.json
  that cannot be read is passed over for the newest release that can be, and replaced at the end of this run.
#}
{% macro load_current_release(folder, shown) -%}
  {%- set file_count = martfeast.read_newest_release(folder, '/current.json') -%}
  {%- if not run_query('from martfeast_readable').rows -%}
    {%- set file_count = file_count + martfeast.read_newest_release(folder, '/releases/*.json') -%}
    {%- if file_count -%}
      {%- do log('martfeast: ' ~ shown ~ '/current.json is missing or damaged; it is written anew from the newest release', info=true) -%}
    {%- endif -%}
  {%- endif -%}
  {%- set structure = {
    'mart': 'VARCHAR', 'unique_id': 'VARCHAR', 'version': 'VARCHAR', 'path': 'VARCHAR', 'published_at': 'VARCHAR',
    'built_by': 'VARCHAR', 'code_checksum': 'VARCHAR', 'columns': 'JSON', 'row_count': 'BIGINT',
    'first_known_at': 'TIMESTAMP', 'last_known_at': 'TIMESTAMP', 'content_hash': 'VARCHAR', 'tests': 'JSON',
    'sources': 'JSON', 'lineage': 'JSON', 'held_back': 'VARCHAR[]', 'warnings': 'VARCHAR[]'
  } -%}
  {%- do run_query(
    'create or replace temp table martfeast_current as select release_number, unnest(entry) from ('
    ~ "select (release ->> '$.release_number')::bigint as release_number,"
    ~ " unnest(from_json(release -> '$.marts', " ~ martfeast.literal('[' ~ tojson(structure) ~ ']') ~ ')) as entry'
    ~ ' from martfeast_readable)'
  ) -%}
{%- endmacro %}


{# Read the newest release that can be read among some files; return how many files there are. #}
{% macro read_newest_release(folder, pattern) -%}
  {%- set files = run_query(
    'select file from glob(' ~ martfeast.glob_literal(folder, pattern) ~ ')'
    ~ " where not starts_with(parse_filename(file), 'tmp_')"
  ).columns[0].values() -%}
  {%- set globs = [] -%}
  {%- for file in files -%}{%- do globs.append(martfeast.glob_literal(file, '')) -%}{%- endfor -%}
  {%- set contents = 'read_text([' ~ globs | join(', ') ~ '])' if files
    else '(select null::varchar as filename, null::varchar as content where false)' -%}
  {%- do run_query(
    'create or replace temp table martfeast_readable as select content::json as release from ' ~ contents
    ~ " where json_valid(content) and content::json ->> '$.format' = '2'"
    ~ "   and content::json ->> '$.checksum' = sha256('{' || trim(content[80:], chr(10)))"
    ~ "   and json_type(content::json -> '$.marts') = 'ARRAY'"
    ~ ' order by filename desc limit 1'
  ) -%}
  {{- return(files | length) -}}
{%- endmacro %}


{# The next release, one row per mart of the project: its evidence, with the version that holds from now on. #}
{% macro release_sql() -%}
select
  verdict.mart,
  verdict.mart_id as unique_id,
  coalesce(fresh.version, old.version) as version,
  coalesce(fresh.path, old.path) as path,
  case
    when fresh.is_copied then {{ martfeast.literal(run_started_at.strftime('%Y-%m-%dT%H:%M:%SZ')) }}
    else old.published_at
  end as published_at,
  case when fresh.mart_id is not null then verdict.built_by else old.built_by end as built_by,
  case when fresh.mart_id is not null then verdict.code_checksum else old.code_checksum end as code_checksum,
  coalesce(fresh.columns, old.columns) as columns,
  coalesce(fresh.row_count, old.row_count) as row_count,
  coalesce(fresh.first_known_at, old.first_known_at) as first_known_at,
  coalesce(fresh.last_known_at, old.last_known_at) as last_known_at,
  coalesce(fresh.content_hash, old.content_hash) as content_hash,
  case when len(verdict.reasons) = 0 then to_json(verdict.tests) else old.tests end as tests,
  case when len(verdict.reasons) = 0 then to_json(verdict.sources) else old.sources end as sources,
  case when len(verdict.reasons) = 0 then to_json(verdict.lineage) else old.lineage end as lineage,
  verdict.reasons as held_back,
  verdict.warnings
from martfeast_verdicts as verdict
left join martfeast_new as fresh on verdict.mart_id = fresh.mart_id
left join martfeast_current as old on verdict.mart_id = old.unique_id
{%- endmacro %}


{#
  Note what the rows of a mart are. The content hash is independent of their order: the sum of the MD5 hashes
  of all rows, which also counts duplicates.
#}
{% macro measure_mart(mart, version) -%}
  {%- set columns = martfeast.published_columns(mart) -%}
  {%- set feast = martfeast.feast_meta(mart) -%}
  {%- set timestamp = feast.get('timestamp') if feast is mapping else none -%}
  {%- set known_at = 'try_cast(' ~ adapter.quote(timestamp) ~ ' as timestamp)'
    if timestamp is string and timestamp in mart.columns else 'null::timestamp' -%}
  {%- set chosen = 'select ' ~ columns | join(', ') ~ ' from ' ~ mart.relation_name -%}
  {%- do run_query(
    'insert into martfeast_new select ' ~ martfeast.literal(mart.unique_id) ~ ', ' ~ martfeast.literal(version)
    ~ ', ' ~ martfeast.literal('marts/' ~ martfeast.mart_folder(mart) ~ '/' ~ version ~ '.parquet') ~ ', true, count(*),'
    ~ " md5(concat_ws('-', count(*), sum(md5_number_lower(line)::hugeint), sum(md5_number_upper(line)::hugeint))),"
    ~ " (select to_json(list({'name': column_name, 'type': column_type})) from (describe " ~ chosen ~ ')),'
    ~ ' min(known_at), max(known_at)'
    ~ ' from (select row(' ~ columns | join(', ') ~ ')::varchar as line, ' ~ known_at ~ ' as known_at from '
    ~ mart.relation_name ~ ')'
  ) -%}
{%- endmacro %}


{#
  Write a version: the mart's columns in the order of its contract, then `published_at`, when this run began
  (UTC). Rows are ordered by the mart's timestamp and entity columns.
#}
{% macro copy_mart(mart, path) -%}
  {%- do run_query(
    'copy (select ' ~ martfeast.published_columns(mart) | join(', ') ~ ', '
    ~ martfeast.literal(run_started_at) ~ ' as published_at from ' ~ mart.relation_name
    ~ ' order by ' ~ (martfeast.sort_columns(mart) or ['all']) | join(', ') ~ ') to ' ~ martfeast.literal(path)
    ~ ' (format parquet, compression zstd, use_tmp_file true)'
  ) -%}
{%- endmacro %}


{# The columns of the contract, quoted; those of the table where no contract is enforced. #}
{% macro published_columns(mart) -%}
  {%- set names = [] -%}
  {%- if mart.config.contract.enforced -%}
    {%- for name in mart.columns -%}{%- do names.append(adapter.quote(name)) -%}{%- endfor -%}
  {%- else -%}
    {%- set relation = api.Relation.create(mart.database, mart.schema, mart.alias) -%}
    {%- for column in adapter.get_columns_in_relation(relation) -%}{%- do names.append(column.quoted) -%}{%- endfor -%}
  {%- endif -%}
  {{- return(names) -}}
{%- endmacro %}


{# The mart's timestamp and entity columns, quoted. Only columns it has: `martfeast status` reports the others. #}
{% macro sort_columns(mart) -%}
  {%- set names = [] -%}
  {%- set feast = martfeast.feast_meta(mart) -%}
  {%- if feast is mapping and feast.get('timestamp') is string and feast['timestamp'] in mart.columns -%}
    {%- do names.append(adapter.quote(feast['timestamp'])) -%}
  {%- endif -%}
  {%- for column in mart.columns.values() -%}
    {%- set column_feast = martfeast.feast_meta(column) -%}
    {%- if column_feast is mapping and column_feast.get('entity') -%}
      {%- do names.append(adapter.quote(column.name)) -%}
    {%- endif -%}
  {%- endfor -%}
  {{- return(names) -}}
{%- endmacro %}


{# The folder of a mart's versions: unlike its alias, a model's unique_id is nobody else's. #}
{% macro mart_folder(mart) -%}
  {{- return(mart.unique_id.split('.', 1)[1]) -}}
{%- endmacro %}


{# A path, taken as it is, and a pattern after it, as a literal for DuckDB's glob and read functions. #}
{% macro glob_literal(path, pattern) -%}
  {%- set plain = path | replace('[', '[[]') | replace('*', '[*]') | replace('?', '[?]') -%}
  {{- return(martfeast.literal(plain ~ pattern)) -}}
{%- endmacro %}


{# As write_json, with the SHA-256 of all that follows it in front: an edit of the file shows. #}
{% macro write_record(query, path) -%}
  {%- do martfeast.write_json(
    'select sha256(cast(to_json(record) as varchar)) as checksum, record.* from (' ~ query ~ ') as record', path
  ) -%}
{%- endmacro %}


{# Replace a JSON file with the one row of a query, by one rename. #}
{% macro write_json(query, path) -%}
  {%- do run_query('copy (' ~ query ~ ') to ' ~ martfeast.literal(path) ~ ' (format json, use_tmp_file true)') -%}
{%- endmacro %}


{#
  Make a folder and its parents where they are missing. DuckDB has no statement for that, but a partitioned
  COPY makes its folder, one level at a time, and a COPY of no rows leaves nothing in it.
#}
{% macro make_folder(folder) -%}
  {%- set levels = folder.split('/') -%}
  {%- for depth in range(1, levels | length + 1) if levels[depth - 1] -%}
    {%- do run_query(
      'copy (select 1 as a, 2 as b where false) to ' ~ martfeast.literal(levels[:depth] | join('/'))
      ~ ' (format parquet, partition_by (a), append)'
    ) -%}
  {%- endfor -%}
{%- endmacro %}


{# Tell the analyst, in a few lines, what was published, what was held back and why. #}
{% macro report_release(folder, number, change_count) -%}
  {%- set rows = run_query(
    "select release.mart, to_json(release.held_back)::varchar as held_back, to_json(release.warnings)::varchar as warnings,"
    ~ " release.version, release.row_count, fresh.is_copied from martfeast_release as release"
    ~ " left join martfeast_new as fresh on release.unique_id = fresh.mart_id order by release.mart"
  ).rows -%}
  {%- set copied = [] -%}
  {%- set held_back = [] -%}
  {%- set warned = [] -%}
  {%- for row in rows -%}
    {%- if row['is_copied'] -%}{%- do copied.append(row['mart'] ~ ' ' ~ '{:,}'.format(row['row_count'] | int)) -%}{%- endif -%}
    {%- set reasons = fromjson(row['held_back']) -%}
    {%- if reasons -%}
      {%- do held_back.append(
        row['mart'] ~ ': ' ~ reasons[0] ~ (' and ' ~ (reasons | length - 1) ~ ' more' if reasons | length > 1 else '')
        ~ ('; version ' ~ row['version'] ~ ' stays' if row['version'] else '')
      ) -%}
    {%- endif -%}
    {%- for warning in fromjson(row['warnings']) if not reasons -%}{%- do warned.append(row['mart'] ~ ': ' ~ warning) -%}{%- endfor -%}
  {%- endfor -%}
  {%- if not rows -%}
    {%- do log('martfeast: nothing was published: no model has meta.feast', info=true) -%}
  {%- elif change_count -%}
    {%- do log(
      'martfeast: release ' ~ number ~ ' in ' ~ folder ~ ': ' ~ copied | length ~ ' of ' ~ rows | length
      ~ ' marts have a new version', info=true
    ) -%}
    {%- if copied -%}{%- do log('martfeast: published (rows): ' ~ copied | join(', '), info=true) -%}{%- endif -%}
  {%- else -%}
    {%- do log(
      'martfeast: nothing new to publish' ~ ('; release ' ~ number ~ ' in ' ~ folder ~ ' stays' if number else ''),
      info=true
    ) -%}
  {%- endif -%}
  {%- for line in held_back[:10] -%}{%- do log('martfeast: held back: ' ~ line, info=true) -%}{%- endfor -%}
  {%- if held_back | length > 10 -%}
    {%- do log('martfeast: and ' ~ (held_back | length - 10) ~ ' more held back: see the model mart_readiness', info=true) -%}
  {%- endif -%}
  {%- for line in warned[:5] -%}{%- do log('martfeast: with a warning: ' ~ line, info=true) -%}{%- endfor -%}
{%- endmacro %}
