"""The scenes that are recorded once and must replay for ever, by what they are about."""

from tests.replay.scenes import approvals, beginnings, graphs, held, reopened, requests, sinks, triggered

SCENES = {
    scene.name: scene
    for scene in (
        *graphs.SCENES,
        *beginnings.SCENES,
        *requests.SCENES,
        *held.SCENES,
        *reopened.SCENES,
        *approvals.SCENES,
        *triggered.SCENES,
        *sinks.SCENES,
    )
}
