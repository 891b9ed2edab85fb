{#
  Publishes the marts that Feast reads: every mart (a model with `config.meta.feast`) whose present rows the
  evidence vouches for. Works at the end of any command that builds or tests; `dbt run` alone has no tests to
  show, so it publishes nothing.

  In the folder `published_path` (a variable of this package, relative to the project's root):

      marts/<model>/<version>.parquet  a version: written once, never changed; a file, or a folder of them
      releases/<number>.json           a release: which version of each mart, and the evidence for it
      current.json                     the release that holds now, and the verdict on each mart; it and the releases
                                       begin with the SHA-256 of the rest, so that an edit shows
      pending.json                     the versions that the newest publishing run set out to write
      publishing.duckdb                empty; locked while a run publishes

  A release begins to hold when current.json is replaced, which is one rename: a reader sees the old set of
  versions or the new one. Whatever is cut off before that leaves the old release as it was.

  results: dbt's own list of results, as every on-run-end hook has it; empty when a start hook failed.
#}
{% macro publish_marts(results) %}
  {% if execute and results and flags.WHICH in ['build', 'run', 'test', 'seed', 'snapshot'] %}
    {% if env_var('MARTFEAST_BACKFILL', '') %}
      {# `martfeast backfill` runs dbt batch by batch, and publishes when the last is tested. #}
      {% if martfeast.keeps_evidence() %}
        {% do martfeast.record_source_loads(results) %}
      {% endif %}
    {% elif not martfeast.published_path() %}
      {% do log('martfeast: nothing was published: published_path has no path for target ' ~ target.name, info=true) %}
    {% elif martfeast.keeps_evidence() %}
      {% do martfeast.publish_at_the_end(results) %}
    {% else %}
      {% do log('martfeast: nothing was published: nothing is recorded of a target of type ' ~ target.type, info=true) %}
    {% endif %}
  {% endif %}
{% endmacro %}


{# Where to publish, as the project's variable has it: one path, or one for each target; none for others. #}
{% macro published_path() %}
  {% set path = var('published_path', none) or 'data/published' %}
  {% if path is mapping %}
    {% set path = path.get(target.name) or '' %}
  {% endif %}
  {% set path = path[7:] if path.startswith('file://') else path %}
  {% if '://' in path %}
    {{ exceptions.raise_compiler_error(
      'published_path ' ~ path ~ ' is not on a file system: a release begins to hold by one rename under a lock, and an '
      ~ 'object store has neither. Nothing was changed. Name a folder (a path, or file:///...).'
    ) }}
  {% endif %}
  {{ return(path.rstrip('/')) }}
{% endmacro %}


{# Where to publish; a path relative to the project holds wherever dbt is run from. #}
{% macro published_folder() %}
  {% set path = martfeast.published_path() %}
  {% set root = invocation_args_dict.get('project_dir') or '.' %}
  {{ return(path if path.startswith('/') else root ~ '/' ~ path) }}
{% endmacro %}


{#
  Judge the marts and publish what may be.

  folder: where to publish. shown: the same as the project's variable has it, for messages. results: of this run; none
  where the evidence is of runs on another engine.
#}
{% macro publish_to(folder, shown, results) %}
  {% do martfeast.make_folder('', folder) %}
  {# DuckDB locks an attached file until it is detached or the process ends: `feast apply` waits for that. #}
  {% set sql %}
    attach {{ martfeast.literal(folder ~ '/publishing.duckdb') }} as martfeast_publishing
  {% endset %}
  {% do run_query(sql) %}

  {% if martfeast.other_engine() %}
    {% do martfeast.fetch_evidence() %}
  {% else %}
    {% do martfeast.record_source_loads(results) %}
  {% endif %}
  {% do martfeast.judge_marts() %}
  {% do martfeast.load_current_release(folder, shown) %}
  {% set other = martfeast.other_line(shown) %}
  {% if other %}
    {% do log('martfeast: held back: every mart: ' ~ other, info=true) %}
  {% else %}
    {% do martfeast.publish_release(folder, shown) %}
  {% endif %}

  {% set sql %}
    detach martfeast_publishing
  {% endset %}
  {% do run_query(sql) %}
{% endmacro %}


{# Write what is new, and the release that holds from now on. #}
{% macro publish_release(folder, shown) %}
  {% do martfeast.measure_marts(folder) %}
  {% do martfeast.write_versions(folder, shown) %}
  {% do martfeast.note_declared() %}
  {% do martfeast.draft_release() %}
  {% set change = martfeast.count_changes(folder) %}
  {% if change['old_number'] | int > change['current_number'] | int > 0 %}
    {% do log(
      'martfeast: ' ~ shown ~ '/current.json was release ' ~ change['current_number'] ~ ', and there was a release '
      ~ change['old_number'] ~ ' already: an older one was brought back, or the newer one was cut off before it held',
      info=true
    ) %}
  {% endif %}
  {% if martfeast.other_engine() %}{% do martfeast.require_evidence_as_fetched() %}{% endif %}
  {% set number = (change['old_number'] | int) + (1 if change['change_count'] else 0) %}
  {% if number > 0 %}
    {% do martfeast.write_release(folder, number, change['change_count'] > 0) %}
  {% endif %}
  {% do martfeast.record_publications(number) %}
  {% if martfeast.other_engine() %}{% do martfeast.return_evidence() %}{% endif %}
  {% do martfeast.report_release(shown, number, change['change_count']) %}
{% endmacro %}


{# The next release, one row per mart of the project: its evidence, with the version that holds from now on. #}
{% macro draft_release() %}
  {% set tolerances = {} %}
  {% for mart in graph.nodes.values() if mart.resource_type == 'model' %}
    {% set share = martfeast.restatement_tolerance(mart) %}
    {% if share %}{% do tolerances.update({mart.unique_id: share}) %}{% endif %}
  {% endfor %}
  {% set sql %}
    create or replace temp table martfeast_release as
    with tolerances as (
        {% for mart_id, share in tolerances.items() %}
        select
            {{ martfeast.literal(mart_id) }} as mart_id,
            {{ share }} as tolerance_share
        {% if not loop.last %}
        union all
        {% endif %}
        {% else %}
        select
            '' as mart_id,
            0 as tolerance_share
        {% endfor %}
    ),

    drafted as (
        select
            verdicts.mart,
            verdicts.mart_id as unique_id,
            coalesce(fresh.version, published.version) as version,
            coalesce(fresh.path, published.path) as path,
            case when fresh.path is not null then fresh.byte_count else published.byte_count end as byte_count,
            case when fresh.path is not null then fresh.sha256 else published.sha256 end as sha256,
            case
                when fresh.is_copied
                    then {{ martfeast.literal(run_started_at.strftime('%Y-%m-%dT%H:%M:%SZ')) }}
                else published.published_at
            end as published_at,
            case
                when fresh.mart_id is not null then verdicts.built_by
                else published.built_by
            end as built_by,
            case
                when fresh.mart_id is not null then verdicts.code_checksum
                else published.code_checksum
            end as code_checksum,
            coalesce(fresh.columns, published.columns) as columns,
            coalesce(fresh.row_count, published.row_count) as row_count,
            coalesce(fresh.first_known_at, published.first_known_at) as first_known_at,
            coalesce(fresh.last_known_at, published.last_known_at) as last_known_at,
            coalesce(fresh.content_hash, published.content_hash) as content_hash,
            case
                when fresh.is_copied then fresh.covered_row_count
                else coalesce(published.covered_row_count, 0)
            end as covered_row_count,
            case
                when fresh.is_copied then fresh.restated_row_count
                else coalesce(published.restated_row_count, 0)
            end as restated_row_count,
            case
                when fresh.is_copied then fresh.restated_partitions
                else coalesce(published.restated_partitions, '[]')
            end as restated_partitions,
            case
                when fresh.is_copied then fresh.partitions
                else published.partitions
            end as partitions,
            case
                when len(verdicts.reasons) = 0 then to_json(verdicts.tests)
                else published.tests
            end as tests,
            case
                when len(verdicts.reasons) = 0 then to_json(verdicts.sources)
                else published.sources
            end as sources,
            case
                when len(verdicts.reasons) = 0 then to_json(verdicts.lineage)
                else published.lineage
            end as lineage,
            verdicts.reasons as held_back,
            verdicts.warnings,
            martfeast_declared.sharing,
            -- What is said of the version that holds; who may use it is said as of now.
            case
                when martfeast_declared.declared is null or len(verdicts.reasons) = 0 then martfeast_declared.declared
                else coalesce(before.declared, martfeast_declared.declared)
            end as declared,
            coalesce(published.baseline, published.path) as compared_with,
            case
                when published.baseline is not null then published.baseline_byte_count
                else published.byte_count
            end as compared_byte_count,
            case
                when published.baseline is not null then published.baseline_sha256
                else published.sha256
            end as compared_sha256,
            case
                when published.baseline <> published.path then published.baseline_partitions
                else published.partitions
            end as compared_partitions,
            coalesce(tolerances.tolerance_share, 0) as tolerance_share
        from {{ martfeast.judge_schema() }}.verdicts
        left join martfeast_measured as fresh on verdicts.mart_id = fresh.mart_id
        left join martfeast_current as published on verdicts.mart_id = published.unique_id
        left join tolerances on verdicts.mart_id = tolerances.mart_id
        left join martfeast_declared on verdicts.mart_id = martfeast_declared.mart_id
        left join martfeast_declared_before as before on verdicts.mart_id = before.mart_id
    ),

    compared as (
        select
            *,
            -- What history is compared with: the newest version that kept it, or whose restatement is declared.
            restated_row_count <= covered_row_count * tolerance_share as keeps_history
        from drafted
    )

    select
        * exclude (
            compared_with, compared_byte_count, compared_sha256, compared_partitions, tolerance_share, keeps_history
        ),
        case when keeps_history then path else compared_with end as baseline,
        case when keeps_history then byte_count else compared_byte_count end as baseline_byte_count,
        case when keeps_history then sha256 else compared_sha256 end as baseline_sha256,
        -- Said once: that of a version which is its own baseline stands under `partitions`.
        case when not keeps_history and compared_with <> path then compared_partitions end as baseline_partitions
    from compared
  {% endset %}
  {% do run_query(sql) %}
{% endmacro %}


{# The numbers of the current release and of the newest, which is never used again; and how many marts change. #}
{% macro count_changes(folder) %}
  {% set sql %}
    select
        cast(coalesce(max(published.release_number), 0) as bigint) as current_number,
        greatest(
            cast(coalesce(max(published.release_number), 0) as bigint),
            {{ martfeast.newest_release_number(folder) }},
            case when max(published.release_number) > 0 then {{ martfeast.newest_publication() }} else 0 end
        ) as old_number,
        count(*) filter (
            where published.version is distinct from martfeast_release.version
        ) as change_count
    from martfeast_current as published
    full join martfeast_release on published.unique_id = martfeast_release.unique_id
  {% endset %}
  {{ return(run_query(sql).rows[0]) }}
{% endmacro %}


{# The highest number of a release that this target published from this database; SQL. #}
{% macro newest_publication() %}
  {% set evidence = martfeast.evidence_schema() %}
  {% set sql %}(
                select coalesce(max(publications.release_number), 0) from {{ evidence }}.publications
                inner join {{ evidence }}.invocations on publications.invocation_id = invocations.invocation_id
                where
                    invocations.target_name = {{ martfeast.literal(target.name) }}
                    and invocations.schema_name = {{ martfeast.literal(target.schema) }}
            ){% endset %}
  {{ return(sql) }}
{% endmacro %}


{# Note the verdict on every mart, and every version that is new, in the evidence. #}
{% macro record_publications(number) %}
  {% set evidence = martfeast.evidence_schema() %}
  {% set sql %}
    insert into {{ evidence }}.publications
    select
        unique_id as node_id,
        mart,
        version,
        {{ number }} as release_number,
        built_by as invocation_id,
        code_checksum,
        row_count,
        content_hash,
        first_known_at,
        last_known_at,
        cast(published_at as timestamp) as published_at
    from martfeast_release
    where
        version is not null
        and (unique_id, version) not in (
            select (publications.node_id, publications.version) from {{ evidence }}.publications
        );

    insert into {{ evidence }}.verdicts
    select
        {{ martfeast.literal(invocation_id) }} as invocation_id,
        unique_id as node_id,
        len(held_back) = 0 as is_publishable,
        held_back as reasons,
        warnings,
        version
    from martfeast_release
  {% endset %}
  {% do run_query(sql) %}
{% endmacro %}
