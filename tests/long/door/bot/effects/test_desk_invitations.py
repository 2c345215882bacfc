"""Invitations into a desk of people who may come in by another way meanwhile."""

from urllib.parse import quote

import pytest

from bot.effects import desk
from moderation.model.facts import ActionTaken
from tests.fakes.bad_line import BadLine
from tests.fakes.http_stub import Answer
from tests.theatre.scene import Theatre, enter


async def test_a_manager_who_came_in_while_the_bot_did_not_hear_of_it_is_not_refused(
    theatre: Theatre, line: BadLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "_FIRST_MS", 10)
    scene = await theatre.scene(members=1)
    bot, (ann,) = scene.bot, scene.members
    invite = f"POST .*{quote(scene.desk, safe='')}/invite"
    line.trouble(invite, Answer(502), lost=True)  # so that it is tried again
    again = line.silence(invite)
    line.silence("GET .*/sync", lost=True, holds=lambda said: scene.desk.encode() in said)
    await scene.owner.set_power(scene.room, {ann.user: 50})
    await enter(ann, scene.desk)
    assert again.held is not None
    again.held.set()

    def outcomes() -> list[str]:
        taken = [fact for fact in bot.facts(ActionTaken) if fact.action == "invite-manager"]
        return [fact.result for fact in taken if fact.subject == ann.user]

    await bot.until(outcomes, "the outcome of the invitation")
    line.clear()
    assert outcomes() == ["done"]
    assert [entry for entry in theatre.logged if entry["event"] == "act_refused"] == []
