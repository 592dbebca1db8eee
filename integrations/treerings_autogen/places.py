"""Where a step belongs: below the step that runs, or below the team whose message is being handled."""

from __future__ import annotations

from collections import OrderedDict

from autogen_core import MessageHandlerContext
from treerings import StopWorkflow
from treerings.context import OpenStep, current_step

__all__ = ["add_team", "handled_team", "is_running", "note_stop", "place", "remove_team"]

MAX_TEAMS = 10_000


class _Team:
    """A team's run, and the guard's stop that passed through it."""

    __slots__ = ("step", "stop")

    def __init__(self, step: OpenStep) -> None:
        self.step = step
        self.stop: StopWorkflow | None = None


_teams: OrderedDict[str, _Team] = OrderedDict()
"""The teams that run, by team id: the key of the ids of all their agents."""


def add_team(team_id: str, step: OpenStep) -> None:
    """Say that a team runs; a team that already does keeps its step, for it refuses to run twice at a time."""
    running = _teams.get(team_id)
    if running is not None and not running.step.ended:
        return
    _teams[team_id] = _Team(step)
    if len(_teams) > MAX_TEAMS:
        _teams.popitem(last=False)


def is_running(team_id: str, step: OpenStep) -> bool:
    """Whether this step is the team's run."""
    team = _teams.get(team_id)
    return team is not None and team.step is step


def remove_team(team_id: str, step: OpenStep) -> StopWorkflow | None:
    """Say that this run of a team is over; the stop that passed through it."""
    team = _teams.get(team_id)
    if team is None or team.step is not step:
        return None
    _teams.pop(team_id, None)
    return team.stop


def handled_team() -> OpenStep | None:
    """The team to which the agent belongs that handles a message here; None outside of teams."""
    if not _teams:
        return None
    try:
        team = _teams.get(MessageHandlerContext.agent_id().key)
    except RuntimeError:  # nobody handles a message here
        return None
    return None if team is None or team.step.ended else team.step


def place() -> OpenStep | None:
    """The parent of a step that starts here.

    A runtime handles messages in the context in which it was started, which on a shared runtime is not that of the
    team: a step that is not within the team of the handling agent does not enclose it.
    """
    step = current_step()
    team = handled_team()
    if team is None or step is team:
        return step
    around = step
    while around is not None:
        if around is team:
            return step
        around = around.parent
    return team


def note_stop(step: OpenStep | None, error: BaseException | None) -> None:
    """Remember a guard's `StopWorkflow` for the teams around this step: AutoGen passes on its text only."""
    if not isinstance(error, StopWorkflow):
        return
    around = set()
    while step is not None:
        around.add(step.id)
        step = step.parent
    for team in list(_teams.values()):
        if team.step.id in around:
            team.stop = error
