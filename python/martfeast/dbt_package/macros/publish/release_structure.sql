{# What a release has, and of which type: names and types as from_json_strict takes them. #}
{% macro release_structure() %}
  {% set mart = {
    'mart': 'VARCHAR',
    'unique_id': 'VARCHAR',
    'version': 'VARCHAR',
    'path': 'VARCHAR',
    'byte_count': 'BIGINT',
    'sha256': 'VARCHAR',
    'published_at': 'VARCHAR',
    'built_by': 'VARCHAR',
    'code_checksum': 'VARCHAR',
    'columns': [{'name': 'VARCHAR', 'type': 'VARCHAR'}],
    'row_count': 'BIGINT',
    'first_known_at': 'TIMESTAMP',
    'last_known_at': 'TIMESTAMP',
    'content_hash': 'VARCHAR',
    'tests': [{'test': 'VARCHAR', 'status': 'VARCHAR', 'invocation': 'VARCHAR', 'code_checksum': 'VARCHAR', 'variables': 'VARCHAR'}],
    'sources': [{'source': 'VARCHAR', 'loaded_at': 'TIMESTAMP'}],
    'lineage': [{'node': 'VARCHAR', 'code_checksum': 'VARCHAR', 'compiled_checksum': 'VARCHAR', 'variables': 'VARCHAR'}],
    'covered_row_count': 'BIGINT',
    'restated_row_count': 'BIGINT',
    'restated_partitions': [{'name': 'VARCHAR', 'row_count': 'BIGINT'}],
    'partitions': martfeast.partition_structure(),
    'baseline': 'VARCHAR',
    'baseline_byte_count': 'BIGINT',
    'baseline_sha256': 'VARCHAR',
    'baseline_partitions': martfeast.partition_structure(),
    'held_back': ['VARCHAR'],
    'warnings': ['VARCHAR']
  } %}
  {{ return({
    'release_number': 'INTEGER',
    'target': 'VARCHAR',
    'target_schema': 'VARCHAR',
    'engine': 'VARCHAR',
    'location': 'VARCHAR',
    'warehouse_id': 'VARCHAR',
    'marts': [mart]
  }) }}
{% endmacro %}


{# Whether a mart of a release, given as SQL, names no version, or a file of its own folder and all that vouches for it. #}
{% macro is_whole(mart) %}
  {% set sql %}coalesce(  -- noqa: RF03
            {{ mart }}.version is null
            or (
                regexp_full_match({{ mart }}.path, 'marts/[^/.][^/]*/[^/.][^/]*')
                and ends_with({{ mart }}.path, '/' || {{ mart }}.version || '.parquet')
                and regexp_full_match(coalesce({{ mart }}.baseline, {{ mart }}.path), 'marts/[^/.][^/]*/[^/.][^/]*')
                and try_cast({{ mart }}.published_at as timestamp) is not null
                and {{ mart }}.byte_count >= 0
                and {{ mart }}.row_count >= 0
                and {{ mart }}.covered_row_count >= 0
                and {{ mart }}.restated_row_count >= 0
                and {{ mart }}.built_by is not null
                and {{ mart }}.content_hash is not null
                and len([one for one in {{ mart }}.columns if one.name is null or one.type is null]) = 0  -- noqa: RF03
                and len([one for one in {{ mart }}.tests if one.test is null or one.status is null]) = 0  -- noqa: RF03
                and len([one for one in {{ mart }}.sources if one.source is null]) = 0  -- noqa: RF03
                and len([one for one in {{ mart }}.lineage if one.node is null]) = 0  -- noqa: RF03
                and len([one for one in {{ mart }}.restated_partitions if one.name is null or coalesce(one.row_count, 0) < 1]) = 0  -- noqa: RF03
                and {{ martfeast.is_whole_partitions(mart ~ '.partitions') }}
                and {{ martfeast.is_whole_partitions(mart ~ '.baseline_partitions') }}
            ),
            false
        ){% endset %}
  {{ return(sql) }}
{% endmacro %}
