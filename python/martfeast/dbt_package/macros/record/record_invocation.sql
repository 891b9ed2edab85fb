{#
  Note that an invocation begins, and which relations it may rebuild. One that never ends (a kill, a power
  cut) leaves this row without a completion, and what it may have rebuilt is unproven until it is built again.
#}
{% macro record_start() %}
  {% if martfeast.is_recorded() %}
    {% do martfeast.require_engine() %}
    {% do martfeast.require_known_format() %}
    {% do martfeast.create_evidence_tables() %}
    {% do martfeast.insert_invocation() %}
    {% do martfeast.note_passes() %}
  {% endif %}
{% endmacro %}


{# Commands that build or test. Hooks are also rendered by commands that only compile. #}
{% macro is_recorded() %}
  {{ return(
    execute and martfeast.keeps_evidence()
    and flags.WHICH in ['build', 'run', 'test', 'seed', 'snapshot', 'clone', 'freshness']
  ) }}
{% endmacro %}


{# Whether dbt runs with --empty or --sample; it shows --sample to macros here only. #}
{% macro is_part_of_the_data() %}
  {{ return(invocation_args_dict.get('empty') or invocation_args_dict.get('sample')) }}
{% endmacro %}


{# Whether what this run builds has rows of part of the data, or of another environment. #}
{% macro is_partial_run() %}
  {% set partial = flags.WHICH == 'clone' or martfeast.is_part_of_the_data()
    or invocation_args_dict.get('defer') or invocation_args_dict.get('favor_state') %}
  {{ return(true if partial else false) }}
{% endmacro %}


{% macro insert_invocation() %}
  {% set nodes = [] %}
  {% set relations = [] %}
  {% if flags.WHICH != 'test' %}
    {% for node_id in selected_resources if node_id.split('.')[0] in ['model', 'seed', 'snapshot'] %}
      {% do nodes.append(node_id) %}
      {% do relations.append(graph.nodes[node_id].relation_name or '') %}
    {% endfor %}
  {% endif %}
  {% set sql %}
    select
        coalesce(max(invocation_number), 0) as newest,
        count(case when invocation_id = {{ martfeast.literal(invocation_id) }} then 1 end) as noted
    from {{ martfeast.evidence_schema() }}.invocations
  {% endset %}
  {% set invocations = run_query(sql).rows[0] %}
  {% if not invocations['noted'] %}
    {% do martfeast.insert_evidence('invocations', [[
      (invocations['newest'] | int) + 1,
      invocation_id,
      flags.WHICH,
      martfeast.is_partial_run(),
      flags.FULL_REFRESH is true,
      target.name,
      dbt_version,
      nodes,
      martfeast.moment(run_started_at),
      target.schema,
      relations,
      tojson(martfeast.given_variables(), sort_keys=true)
    ]]) %}
  {% endif %}
{% endmacro %}


{# Record every result of the invocation, what the project holds now, and that the invocation ended. #}
{% macro record_results(results) %}
  {% if martfeast.is_recorded() %}
    {# Another hook that failed at the start may have kept record_start from running. #}
    {% do martfeast.create_evidence_tables() %}
    {% do martfeast.insert_invocation() %}
    {% set nodes = martfeast.project_nodes() %}
    {% set checksums = {} %}
    {% set relations = {} %}
    {% for row in nodes %}
      {% do checksums.update({row[0]: row[4]}) %}
      {% do relations.update({row[0]: row[11]}) %}
    {% endfor %}
    {% set rows = [] %}
    {% for result in results if result.node %}
      {% set node = result.node %}
      {% set timing = (result.timing or []) | last %}
      {% set checksum = checksums.get(node.unique_id, node.checksum if node.checksum is string else none) %}
      {% set tested = node.tested_node_unique_id or none
        if node.resource_type == 'unit_test' else node.attached_node or none %}
      {% do rows.append([
        invocation_id,
        node.unique_id,
        node.resource_type | string,
        result.status | string,
        result.failures,
        (result.adapter_response or {}).get('rows_affected'),
        result.message,
        checksum,
        node.config.materialized or none,
        tested,
        martfeast.moment(result.max_loaded_at) if result.max_loaded_at else none,
        martfeast.moment(timing.started_at) if timing else none,
        martfeast.moment(timing.completed_at) if timing else none,
        result.execution_time,
        none,
        relations.get(node.unique_id),
        local_md5(node.compiled_code | trim) if node.compiled_code is string else none,
        martfeast.tested_from(node.compiled_code) if node.resource_type == 'test' else none
      ]) %}
    {% endfor %}
    {% do martfeast.insert_evidence('results', rows) %}
    {% do martfeast.record_ranges(results) %}
    {% do martfeast.record_fact_batches(results) %}
    {% do martfeast.empty_evidence('nodes') %}
    {% do martfeast.insert_evidence('nodes', nodes) %}
    {% do martfeast.insert_evidence('completions', [[invocation_id, martfeast.moment(modules.datetime.datetime.now(modules.pytz.utc))]]) %}
  {% endif %}
{% endmacro %}


{#
  What a node is and what it reads: its own relation, empty for a test, and then those that it reads, the files of
  sources in files among them. What is ephemeral stands for what it reads; many nodes may read it, and `known` keeps
  what was found for it, from one node to the next.
#}
{% macro relations_of(node, known) %}
  {% set relations = ['' if node.resource_type == 'test' else (node.relation_name or '')] %}
  {% for parent_id in node.depends_on.nodes | sort %}
    {% if parent_id in graph.sources %}
      {% do relations.append(martfeast.read_relation(graph.sources[parent_id])) %}
    {% elif parent_id in graph.nodes and graph.nodes[parent_id].config.materialized == 'ephemeral' %}
      {% if parent_id not in known %}
        {% do known.update({parent_id: martfeast.relations_of(graph.nodes[parent_id], known)[1:]}) %}
      {% endif %}
      {% do relations.extend(known[parent_id]) %}
    {% elif parent_id in graph.nodes %}
      {% do relations.append(graph.nodes[parent_id].relation_name or '') %}
    {% endif %}
  {% endfor %}
  {{ return(relations) }}
{% endmacro %}


{# The relation that is read of a node or a source, with the files of a source in files. #}
{% macro read_relation(parent) %}
  {% set places = [parent.config.meta, parent.meta, parent.source_meta] | select('mapping') | list %}
  {% set files = places | map(attribute='external_location') | select('string') | list %}
  {{ return(parent.relation_name ~ (' ' ~ files[0] if files and parent.resource_type == 'source' else '')) }}
{% endmacro %}


{# The variables that were given on the command line, this package's own left out. #}
{% macro given_variables() %}
  {% set given = {} %}
  {% for name, value in (invocation_args_dict.get('vars') or {}).items() if name not in ['martfeast', 'martfeast_take_over'] %}
    {% do given.update({name: value}) %}
  {% endfor %}
  {{ return(given) }}
{% endmacro %}


{# What the project holds now: a row for each model, seed, snapshot and data test. #}
{% macro project_nodes() %}
  {% set owners = {} %}
  {% for group in graph.groups.values() %}
    {% set email = group.owner.email if group.owner.email is string else (group.owner.email or []) | first %}
    {% do owners.update({group.name: email or group.owner.name}) %}
  {% endfor %}
  {% set rows = [] %}
  {% set relations_known = {} %}
  {% set code_known = {} %}
  {% for node in graph.nodes.values() if node.resource_type in ['model', 'seed', 'snapshot', 'test'] %}
    {% set is_test = node.resource_type == 'test' %}
    {% set feast = martfeast.feast_meta(node) if node.resource_type == 'model' else none %}
    {% set waivers = [] %}
    {% if feast is mapping %}
      {% set listed = feast.get('waivers') %}
      {% for waiver in (listed if listed is iterable and listed is not string else []) if waiver is mapping %}
        {% do waivers.append(waiver.get('criterion') ~ ' until ' ~ waiver.get('until') ~ ': ' ~ waiver.get('reason')) %}
      {% endfor %}
    {% endif %}
    {% do rows.append([
      node.unique_id,
      node.resource_type,
      node.name if is_test else node.alias,
      node.config.materialized,
      martfeast.code_checksum(node, code_known),
      node.config.severity | lower if is_test else none,
      node.depends_on.nodes or [],
      ([node.attached_node] if node.attached_node else node.depends_on.nodes) if is_test else [],
      owners.get(node.config.group),
      feast is not none,
      waivers,
      martfeast.relations_of(node, relations_known),
      martfeast.batch_of(node).size if node.resource_type == 'model' else none,
      martfeast.batch_of(node).start if node.resource_type == 'model' else none
    ]) %}
  {% endfor %}
  {{ return(rows) }}
{% endmacro %}
