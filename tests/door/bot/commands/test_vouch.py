"""A withdrawn vouch ends at once; a false vouch is a case against the person who gave it."""

from moderation.model.builtin_rules import FALSE_VOUCH
from moderation.model.facts import CreditChanged, PersonVerified
from tests.theatre.scene import Theatre, ask, direct_room, told
from tests.theatre.served import like


async def test_a_voucher_takes_a_vouch_back(theatre: Theatre) -> None:
    scene = await theatre.scene(known=["managers"])
    bot, (mark,), (ann,) = scene.bot, scene.managers, scene.members
    assert like("done.vouch").search(await ask(mark, bot, scene.desk, f"!vouch {ann.user}"))
    assert like("done.unvouch").search(await ask(mark, bot, scene.desk, f"!unvouch {ann.user}"))
    await told(ann, bot, like("notice.unvouched"))
    assert bot.rows("SELECT method, revoked > 0 FROM verifications WHERE method = 'vouch'") == [("vouch", 1)]
    assert like("error.unvouch.none").search(await ask(mark, bot, scene.desk, f"!unvouch {ann.user}"))


async def test_a_false_vouch_costs_the_voucher_standing_and_can_be_appealed(theatre: Theatre) -> None:
    scene = await theatre.scene(known=["managers"])
    bot, owner, (mark,), (ann,) = scene.bot, scene.owner, scene.managers, scene.members
    await ask(mark, bot, scene.desk, f"!vouch {ann.user}")
    assert like("error.unvouch.false").search(await ask(mark, bot, scene.desk, f"!unvouch {ann.user} false so"))
    assert like("error.missing.words").search(await ask(owner, bot, scene.desk, f"!unvouch {ann.user} false"))
    said = await ask(owner, bot, scene.desk, f"!unvouch {ann.user} false he never met her")
    assert like("done.unvouch-false").search(said)
    notice = await told(mark, bot, like(f"notice.own.{FALSE_VOUCH}"))
    assert "he never met her" in notice.body
    charged = [(each.ledger, each.rule, each.cost, each.subject) for each in bot.facts(CreditChanged)]
    assert charged == [("standing", FALSE_VOUCH, 15, mark.user)]
    ends = [(each.step, each.why, each.by) for each in bot.facts(PersonVerified) if each.method == "vouch"]
    assert ends == [("verified", "-", mark.user), ("revoked", "false", owner.user)]
    ((n,),) = bot.rows("SELECT n FROM cases WHERE rule = ?", FALSE_VOUCH)
    await mark.send_text(await direct_room(mark, bot), f"!appeal {n} I did meet her")
    await bot.until(lambda: bot.rows("SELECT state FROM cases WHERE n = ?", n) == [("appealed",)], "the appeal")
