"""Random scenes of a few related moves that the people of a hostile room make.

Rules kept here:
- Everybody is only where homeservers let them be.
- The hostile people are not in the group or the gated room; they can at most knock there.
- In the hostile room nobody else breaks a rule of the operator that decides automatically: that is the operator's word,
  and may count elsewhere.
Left to others: the permitted consequences (`elsewhere.py`).
"""

from typing import Any

from hypothesis import strategies as st

from tests.fuzz.moves import HOSTILE, VICTIMS, Gives, Move, Moves, Presses, Says, Tries, Waits
from tests.fuzz.said import HOW, REACTIONS, commands
from tests.fuzz.world import ANN, BARRED, BEN, KEEPER, MAX, MIA, OTHER_MAX, OTHER_OWNER, OUTSIDER, OWNER, SOCK

RUNNING = st.sampled_from((OTHER_OWNER, OTHER_MAX))
ANYBODY = st.sampled_from((*HOSTILE, *VICTIMS, MAX))
# Words for the hostile room that its own rules or the operator's find for a decision; none that count at once.
WORDS = st.sampled_from(("hello", "hello again", "tea?", "forbidden 17", "good morning", "a"))

# What is done in the hostile room.

PICK = st.integers(0, 31)
chatter = st.builds(Says, ANYBODY, st.just("other"), WORDS)


@st.composite
def heavy(draw: st.DrawFn) -> str:
    """Return a pattern with nested repetition counts; RE2 accepts no more than 1,000 in all."""
    letters = draw(st.sampled_from(("a", "ab", "a|b", "a|b|ab|ba", "[ab]", ".")))
    inner, outer = draw(st.integers(4, 31)), draw(st.integers(4, 32))
    return f"(?:(?:{letters}){{1,{inner}}}c?){{0,{outer}}}q"


GRADE = st.sampled_from(("minor", "moderate", "moderate", "moderate", "severe"))  # the last is more than a room may
MEASURE = st.sampled_from(("none", "notice", "redact", "mute"))
DECIDE = st.sampled_from(("auto", "auto", "manager"))
NAME = st.sampled_from(("a", "b", "c", "d"))
TERM = st.sampled_from(("hello", "tea", "morning"))
PATTERN = st.one_of(st.sampled_from(("hel+o", "^h", "tea", ".")), heavy(), heavy())
own_rules = st.builds(
    lambda by, name, what, grade, measure, decide: Says(
        by, "other desk", f'!rule add {name} {what[0]} "{what[1]}" {grade} {measure} {decide}'
    ),
    RUNNING,
    NAME,
    st.tuples(st.just("terms"), TERM) | st.tuples(st.just("pattern"), PATTERN),
    GRADE,
    MEASURE,
    DECIDE,
)
removed_rules = st.builds(lambda by, name: Says(by, "other desk", f"!rule remove {name}"), RUNNING, NAME)
levels = st.builds(Gives, st.sampled_from((*VICTIMS, MAX, SOCK)), st.sampled_from((50, 50, 50, 101, 0)))
accepted = st.builds(lambda user: Moves(user, user, "other desk", "join"), st.sampled_from((MAX, MAX, OWNER, ANN)))
out = st.builds(
    lambda user, what: Moves(OTHER_OWNER if what == "ban" else user, user, "other", what),
    st.sampled_from((*VICTIMS, SOCK, OTHER_MAX)),
    st.sampled_from(("join", "join", "leave", "ban")),
)
reports = st.one_of(
    st.builds(Presses, ANYBODY, st.sampled_from(REACTIONS[3:]), PICK),
    st.builds(lambda who, pick: Says(who, "direct", "!report <message> bad", pick), ANYBODY, PICK),
)
decided = st.builds(
    lambda by, what, pick: Says(by, "other desk", f"!{what} <case> because", pick),
    RUNNING,
    st.sampled_from(("uphold", "uphold", "dismiss", "dismiss", "dismiss-reports")),
    PICK,
)
orders = st.builds(
    lambda by, what, user: Says(by, "other desk", f"!{what.format(user)}"),
    RUNNING,
    st.sampled_from(("warn {} you know why", "mute {} 3d", "kick {}", "ban {}")),
    st.sampled_from((*VICTIMS, MIA, BEN, OUTSIDER, SOCK)),
)
lifted = st.builds(
    lambda by, what, user: Says(by, "other desk", f"!{what} {user}"),
    RUNNING,
    st.sampled_from(("unmute", "unban", "unban")),
    st.sampled_from((BARRED, BARRED, MAX, ANN)),
)
vouches = st.builds(
    lambda by, user, back: Says(by, "other desk", f"!{'un' if back else ''}vouch {user}"),
    RUNNING,
    st.sampled_from((SOCK, SOCK, ANN, MAX, BEN)),
    st.sampled_from((False, False, False, True)),
)
knocks = st.builds(lambda user: Moves(user, user, "gated", "knock"), st.just(SOCK))
asked = st.builds(
    Says,
    st.sampled_from(HOSTILE),
    st.sampled_from(("other desk", "direct", "other")),
    st.one_of(
        st.sampled_from(("!case <case>", "!why <case>", "!cases", "!duty", "!who", "!credit", "!note <case> what")),
        st.builds(
            lambda what, user: f"!{what} {user}",
            st.sampled_from(("credit", "history")),
            st.sampled_from((*VICTIMS, MIA, BEN, KEEPER)),
        ),
    ),
    PICK,
)
appeals = st.builds(
    lambda who, pick, word: Says(who, "direct", f"!{word} <case> it was not so", pick),
    ANYBODY,
    PICK,
    st.sampled_from(("appeal", "comment")),
)
# The operator's rule finds it automatically, so it counts everywhere; the author's friends must not hear an appeal.
grave = st.just(Says(SOCK, "other", "a purple elephant"))
against = st.just(Says(SOCK, "direct", "!appeal <case> it was not so"))
curious = RUNNING.map(lambda by: [Says(by, "other desk", f"!credit {user}") for user in VICTIMS])
ASKED_ALONE = ("!credit", "!mydata", "!cases", "!verify", "!why", "!help")
alone = st.builds(
    lambda who, said: Says(who, "direct", said),
    ANYBODY,
    st.sampled_from(ASKED_ALONE),
)


@st.composite
def off_the_record(draw: st.DrawFn) -> Says:
    """Return a message in a group that looks like verifying, with words that are nobody's code."""
    begin = draw(st.sampled_from(("!verify", "!VERIFY:", "! verify", "* !verify", "!验证")))
    way = draw(st.sampled_from(("", " email", " roster")))
    insult = "Mina is a thief and everybody shall know it"
    said = (insult, "12345678", f"12345678 {insult}", "ann@example.org", "x" * 4_000, "forbidden 17")
    words = draw(st.sampled_from(said))
    more: dict[str, Any] = {}
    if draw(st.booleans()):
        more = draw(st.sampled_from(({"msgtype": "m.notice"}, {"formatted_body": insult}, {"filename": insult})))
    return Says(draw(ANYBODY), "other", f"{begin}{way} {words}", more=tuple(more.items()))


tries = st.builds(
    lambda who, place, said, how, number: Tries((who, place, said, how, number)),
    st.sampled_from(HOSTILE),
    st.sampled_from(("other", "other desk", "direct")),
    st.one_of(commands(), commands(), st.sampled_from(REACTIONS)),
    HOW,
    st.integers(0, 80),
)
waits = st.builds(Waits, st.sampled_from((1, 25, 80)))

single: st.SearchStrategy[Move] = st.one_of(
    chatter, chatter, own_rules, removed_rules, levels, accepted, out, reports, decided, orders, vouches, knocks, asked,
    appeals, grave, alone, off_the_record(), tries, tries, waits,
)  # fmt: skip


# What belongs together. Chance alone seldom puts four moves in the order in which they do harm.


def scene(*parts: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Move]]:
    """Return scenes of these parts in sequence; a part is a move or a list of moves."""

    def flat(drawn: tuple[Any, ...]) -> list[Move]:
        return [move for part in drawn for move in (part if isinstance(part, list) else [part])]

    return st.tuples(*parts).map(flat)


def some(move: st.SearchStrategy[Any], most: int, least: int = 1) -> st.SearchStrategy[list[Any]]:
    """Return a few moves of a kind."""
    return st.lists(move, min_size=least, max_size=most)


@st.composite
def duty(draw: st.DrawFn) -> list[Move]:
    """Give somebody a level, which they accept or not, and then cases there that nobody decides."""
    user = draw(st.sampled_from((MAX, MAX, OWNER, ANN)))
    accepts: list[Move] = [Moves(user, user, "other desk", "join")] if draw(st.booleans()) else []
    cases = draw(some(st.one_of(reports, st.builds(Says, st.just(SOCK), st.just("other"), WORDS)), 6, 2))
    over: list[Move] = [Waits(80)] if draw(st.booleans()) else []
    return [Gives(user, draw(st.sampled_from((50, 101)))), *accepts, *cases, *over]


@st.composite
def framed(draw: st.DrawFn) -> list[Move]:
    """Make a room rule of words that somebody says there anyway, and perhaps remove it again."""
    by, name, who = draw(RUNNING), draw(NAME), draw(st.sampled_from(VICTIMS))
    added = f'!rule add {name} terms "hello" moderate {draw(MEASURE)} {draw(DECIDE)}'
    removed: list[Move] = [Says(by, "other desk", f"!rule remove {name}")] if draw(st.booleans()) else []
    return [Says(by, "other desk", added), Says(who, "other", "hello"), *removed]


@st.composite
def company(draw: st.DrawFn) -> list[Move]:
    """Let somebody ask the bot in their direct room, which a third person has entered."""
    user, guest = draw(st.sampled_from((*HOSTILE, *VICTIMS))), draw(st.sampled_from((OUTSIDER, BEN)))
    what = draw(st.sampled_from(("invite", "join")))
    asks = draw(some(st.sampled_from(ASKED_ALONE).map(lambda said: Says(user, "direct", said)), 2))
    return [Moves(user if what == "invite" else guest, guest, f"direct of {user}", what), *asks]


scenes: st.SearchStrategy[list[Move]] = st.one_of(
    scene(single),
    scene(single, single),
    scene(own_rules, some(chatter, 3)),
    framed(),
    scene(some(chatter, 3), waits, some(decided, 3)),
    scene(some(reports, 6), some(decided, 3, 0), some(waits, 1, 0)),
    scene(vouches, knocks),
    scene(grave, against, some(decided, 2, 0)),
    scene(some(orders, 2)),
    scene(lifted),
    curious,
    scene(some(off_the_record(), 2)),
    scene(some(asked, 2)),
    company(),
    duty(),
)


# What was in the group before: measures and points that are nobody's business elsewhere.

before: st.SearchStrategy[Move] = st.one_of(
    st.builds(Says, st.sampled_from((ANN, BEN)), st.just("group"), st.just("a purple elephant 4711")),
    st.builds(
        lambda by, what, user: Says(by, "desk", f"!{what.format(user)}"),
        st.sampled_from((OWNER, MAX)),
        st.sampled_from(("mute {} 3d of 4711", "mute {} 3d of 4711", "warn {} of 4711", "vouch {}")),
        st.sampled_from((ANN, ANN, BEN)),
    ),
)
scripts = st.tuples(
    st.lists(before, max_size=3),
    st.lists(scenes, min_size=8, max_size=14).map(lambda drawn: [move for each in drawn for move in each]),
)
