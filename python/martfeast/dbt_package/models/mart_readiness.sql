with nodes as (

    select * from {{ source('martfeast', 'nodes') }}
    where is_mart

),

verdicts as (

    select * from {{ source('martfeast', 'verdicts') }}

),

invocations as (

    select * from {{ source('martfeast', 'invocations') }}

),

publications as (

    select * from {{ source('martfeast', 'publications') }}

),

numbered as (

    select
        verdicts.*,
        invocations.started_at,
        row_number() over (
            partition by verdicts.node_id order by invocations.invocation_number desc
        ) as recency
    from verdicts
    inner join invocations on verdicts.invocation_id = invocations.invocation_id

)

select
    nodes.node_id as mart_id,
    nodes.name as mart,
    nodes.owner,
    coalesce(numbered.is_publishable, false) as is_publishable,
    {{ joined('numbered.reasons') }} as held_back_reasons,
    {{ joined('numbered.warnings') }} as warnings,
    {{ joined('nodes.waivers') }} as waivers,
    numbered.started_at as judged_at,
    numbered.version,
    publications.release_number,
    publications.row_count,
    publications.first_known_at,
    publications.last_known_at,
    publications.published_at
from nodes
left join numbered on nodes.node_id = numbered.node_id and numbered.recency = 1
left join publications
    on numbered.node_id = publications.node_id and numbered.version = publications.version
