"""What earlier tries of a run have done, which a retry does not do again."""

import dagster as dg

# Dagster's own tags, of a run that goes on where another one failed.
_PARENT, _GOES_ON = "dagster/parent_run_id", "dagster/is_resume_retry"


def done_before(
    context: dg.AssetExecutionContext,
) -> tuple[set[dg.AssetKey], set[dg.AssetCheckKey]]:
    """Return the assets that were made, and the checks that passed, in earlier tries of a run.

    Those are tries of the same step, and the runs that this one goes on from ("re-execute from
    failure"). A run that starts anew has none.
    """
    assets, checks = set(), set()
    for run_id in _runs(context):
        for entry in context.instance.all_logs(
            run_id,
            of_type={
                dg.DagsterEventType.ASSET_MATERIALIZATION,
                dg.DagsterEventType.ASSET_CHECK_EVALUATION,
            },
        ):
            event = entry.dagster_event
            if event is None:
                continue
            if event.is_step_materialization and event.asset_key is not None:
                assets.add(event.asset_key)
            elif event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
                evaluation = event.asset_check_evaluation_data
                if evaluation.passed:
                    checks.add(dg.AssetCheckKey(evaluation.asset_key, evaluation.check_name))
    return assets, checks


def _runs(context: dg.AssetExecutionContext) -> list[str]:
    run, found = context.run, []
    if context.retry_number > 0:
        found.append(run.run_id)
    while run.tags.get(_GOES_ON) == "true" and (parent := run.tags.get(_PARENT)):
        found.append(parent)
        earlier = context.instance.get_run_by_id(parent)
        if earlier is None:
            break
        run = earlier
    return found
