"""`answerable rules try FILE` and `answerable rules replay`: what rules would have done with what was recorded.

`try` takes the rules of a file: one with `[[rules]]` alone, tried without any others, or a whole configuration.
`replay` takes the configuration as it stands now, with the rooms' own rules. Nothing is done, recorded or said. It
names people, which is noted; what they wrote is shown with ``--reason`` only.

``--json``: an object with `since`, `until`, `events` (messages and edits in that time), `wordless` (of these, those
whose words were not kept) and `rules`, a list of objects with `rule`, `dry_run`, `matched`, `recorded` (what a rule of
that name found then), `cases`, `to_decide` (of these, by people), `measures` (kind and count), `people` and `rooms`
(each with a count), `decided` and `dismissed` (cases by a rule of that name so far), `harmless` (of what it matched,
messages in dismissed cases), `examples` (objects with `record`, `event`, `room`, `person`, and with a reason
`matched`).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.cli.access.access_reason import Since, check_reason, leave_note, moment_of, note_look
from bot.cli.access.lookup import now_ms
from bot.cli.terminal.options import DEFAULT_CONFIG, AsJson, ConfigFile, Wide, new_app, read_config
from bot.cli.terminal.output import as_json, say, text, word
from bot.cli.terminal.progress import progress
from bot.cli.terminal.tables import Look, table_of
from moderation.values.errors import Refused
from moderation.values.notices import Moment

if TYPE_CHECKING:
    from bot.config.config import Config
    from moderation.policy import Policy

    from .reading import RulesOutcome
    from .tally import Example, RuleTally

MOST_PEOPLE = 20  # in the table; ``--json`` has all
Words = Annotated[str | None, typer.Option("--reason", metavar="TEXT", help=text("cli.rules.option.reason"))]

app = new_app("cli.rules.help")


@app.callback(help=text("cli.rules.help"), epilog=text("cli.rules.epilog"))
def rules() -> None:
    """Hold the commands."""


@app.command("try", help=text("cli.rules.try_help"), epilog=text("cli.rules.try_epilog"))
def try_rules(
    file: Annotated[Path, typer.Argument(metavar="FILE", help=text("cli.rules.option.file"))],
    since: Since = "7d",
    reason: Words = None,
    json: AsJson = False,
    wide: Wide = False,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Try the rules of a file."""
    from bot.config.config import load_policy

    config = read_config(config_file)
    if not file.is_file():
        raise Refused("cli.rules.no_file", file=file)
    policy = load_policy(file, config)
    if not policy.rules:
        raise Refused("cli.rules.no_rules", file=file)
    _show(config, policy, frozenset(rule.name for rule in policy.rules), since, reason, json=json, wide=wide)


@app.command(help=text("cli.rules.replay_help"), epilog=text("cli.rules.replay_epilog"))
def replay(
    since: Since = "7d",
    reason: Words = None,
    json: AsJson = False,
    wide: Wide = False,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Judge the last days by the configuration as it stands."""
    config = read_config(config_file)
    _show(config, config.policy, frozenset(), since, reason, json=json, wide=wide)


def _show(
    config: "Config",
    policy: "Policy",
    names: frozenset[str],
    since: str | None,
    reason: str | None,
    *,
    json: bool,
    wide: bool,
) -> None:
    from .reading import read_again

    if reason is not None:
        check_reason(reason)
    now = now_ms()
    begins = moment_of(since, now) or 0
    with progress() as bar:
        outcome = read_again(config, policy, names, begins, bar)
    chosen = sorted(outcome.rules.values(), key=lambda each: (-each.matched, each.rule))
    rows = [_row(each, outcome, words=reason is not None) for each in chosen]
    _note(config.data_dir, now, reason, rows, most=None if json else MOST_PEOPLE)
    if json:
        period = {"events": outcome.period.events, "wordless": outcome.period.wordless}
        as_json({"since": begins, "until": now, **period, "rules": rows})
        return
    _print(rows, outcome, begins, Look(wide, config.server))


def _row(found: "RuleTally", outcome: "RulesOutcome", *, words: bool) -> dict[str, Any]:
    figures = outcome.figures.get(found.rule)
    return {
        "rule": found.rule,
        "dry_run": found.on_trial,
        "matched": found.matched,
        "recorded": outcome.period.found[found.rule],
        "cases": found.cases,
        "to_decide": found.to_decide,
        "measures": dict(sorted(found.measures.items())),
        "people": [{"person": user, "matched": count} for user, count in found.people.most_common()],
        "rooms": [{"room": room, "matched": count} for room, count in found.rooms.most_common()],
        "decided": figures.alone + figures.upheld + figures.dismissed if figures else 0,
        "dismissed": figures.alone_reversed + figures.dismissed if figures else 0,
        "harmless": found.harmless,
        "examples": [_example(each, words=words) for each in reversed(found.examples)],
    }


def _example(found: "Example", *, words: bool) -> dict[str, Any]:
    shown = {"record": found.record, "event": found.event, "room": found.room, "person": found.person}
    return {**shown, "matched": found.matched} if words else shown


def _note(data: Path, now: int, reason: str | None, rows: list[dict[str, Any]], most: int | None) -> None:
    """Note whom the answer names, before it is shown."""
    named = [each["person"] for row in rows for each in (*row["people"][:most], *row["examples"])]
    about = {"person": list(dict.fromkeys(named))} if named else {}
    if reason is None:
        note_look(data, "rules", now, **about)
    else:
        leave_note(data, reason, now, {"what": "rules-words", **about})


def _print(rows: list[dict[str, Any]], outcome: "RulesOutcome", since: int, look: Look) -> None:
    period = outcome.period
    say("cli.rules.head" if rows else "cli.rules.none", since=Moment(since), events=period.events)
    if period.wordless:
        say("cli.rules.wordless", count=period.wordless)
    if not rows:
        return
    columns = ("rule", "matched", "recorded", "people", "cases", "to_decide", "measures", "dismissed", "harmless")
    table_of(map(_in_short, rows), columns, look=look)
    say("cli.rules.people")
    table_of(_each(rows, "people"), ("rule", "person", "matched"), look=look)
    if more := sum(max(0, len(row["people"]) - MOST_PEOPLE) for row in rows):
        say("cli.rules.more", count=more)
    examples = _each(rows, "examples")
    what = ("found",) if "matched" in examples[0] else ()
    say("cli.rules.newest")
    renamed = [{**each, "found": each.get("matched", "")} for each in examples]
    table_of(renamed, ("rule", "record", "room", "person", *what), look=look)


def _each(rows: list[dict[str, Any]], what: str) -> list[dict[str, Any]]:
    """Return the first of what each row lists, with the rule."""
    return [{"rule": row["rule"], **each} for row in rows for each in row[what][:MOST_PEOPLE]]


def _in_short(row: dict[str, Any]) -> dict[str, Any]:
    return {
        **row,
        "people": len(row["people"]),
        "measures": text("cli.rules.on_trial") if row["dry_run"] else _measures(row["measures"]),
        "dismissed": text("cli.rules.dismissed", dismissed=row["dismissed"], decided=row["decided"]),
    }


def _measures(counts: dict[str, int]) -> str:
    shown = (text("cli.rules.measure", kind=word("sanction", kind), count=count) for kind, count in counts.items())
    return ", ".join(shown)
