"""The tables of the state database, all in one place to read.

Everything here except `outbox`, `meta`, `gap...`, `link_requests` and `challenges...` is a projection of the journal
(`storage/projections/`): it can be thrown away and rebuilt. Times are milliseconds since 1970 UTC. A row made from a
record has the index of that record, so that a row always leads back to its evidence.
"""

from functools import partial

from sqlalchemy import Column as AnyColumn
from sqlalchemy import ForeignKey, Index, Integer, MetaData, String, Table, Text, literal_column, or_

metadata = MetaData()
Column = partial(AnyColumn, nullable=False, autoincrement=False)

# The personal data in a column of text, which decides how it is erased (`storage/projections/erase_person.py`); every
# such column is marked.
PERSON = {"holds": "person"}  # a Matrix id
NAMES = {"holds": "names"}  # JSON that may contain ids, of people with rights in a room
EVENT = {"holds": "event"}  # the id of an event; `events` says whose
PLAIN = {"holds": "nothing"}  # nothing about a person
RULES = {"holds": "rules"}  # rules in force for a room or for all
OPERATORS = {"holds": "operators"}  # what operators wrote at the command line; it stays as long as its record
SOON = {"holds": "soon"}  # data that is sent or read soon, and is then deleted
ROWS = {"erased": "whole"}  # of a table: a row is nothing without the person


def words_of(column: str) -> dict[str, str]:
    """Mark a column as words of the person in `column` of the same row, or as theirs."""
    return {"holds": "words", "of": column}


# sync_token, applied (records applied so far), policy (JSON), anchored (`storage/state/anchor_progress.py`), alive
# (when the bot last ran), digest (the day of which desks were last told)
meta = Table(
    "meta",
    metadata,
    Column("key", String, primary_key=True, info=PLAIN),
    Column("value", Text, info=RULES),
)

rooms = Table(
    "rooms",
    metadata,
    Column("room", String, primary_key=True, info=PLAIN),
    Column("code", String, unique=True, info=PLAIN),
    Column("purpose", String, info=PLAIN),  # group | desk | direct | lobby | space
    Column("served", String, default="-", info=PLAIN),  # the group's code, of a desk or a lobby
    Column("direct_with", String, default="", info=PERSON),  # of a direct room
    Column("invited_by", String, default="", info=PERSON),  # of a group
    Column("condition", String, default="joining", info=PLAIN),
    Column("language", String, default="", info=PLAIN),
    Column("via", Text, default="", info=PLAIN),
    Column("name", Text, default="", info=words_of("named_by")),
    Column("notice", String, default="", info=PLAIN),  # the event that told members what is recorded
    Column("created", Text, default="", info=NAMES),  # m.room.create: {"sender", "content"}
    Column("levels", Text, default="", info=NAMES),  # m.room.power_levels: content
    Column("entered", Integer),  # record
    # Since when its members are asked for verification as now, or the room is recorded.
    Column("asked", Integer, server_default="0"),
    Column("successor", String, server_default="", info=PLAIN),  # the room that its tombstone names
    Column("named_by", String, server_default="", info=PERSON),
    # How far decisions by its people reach, by the policy and the spaces: the name of its community; "": everywhere.
    Column("community", String, server_default="", info=PLAIN),
    # Of a group: the message in its desk that says what the bot can do there.
    Column("introduced", String, server_default="", info=PLAIN),
    # Of a group: the code of the desk that shows its cards; "": none yet; "own": none yet, and not that of other rooms.
    Column("desk", String, server_default="", info=PLAIN),
    # The record by which recording began: those who were there before, and whom the bot therefore met, precede it.
    Column("begun", Integer, server_default="0"),
)

Index("rooms_by_desk", rooms.c.desk)
Index("rooms_by_served", rooms.c.served)
Index("rooms_by_direct", rooms.c.direct_with)
Index("rooms_by_community", rooms.c.community)

# The rooms in which groups were before upgrades: what was written there can only be redacted there.
former_rooms = Table(
    "former_rooms",
    metadata,
    Column("room", String, primary_key=True, info=PLAIN),
    Column("code", String, info=PLAIN),
    Column("record", Integer),
)

# The groups whose cards a desk shows or has ever shown, by their codes.
desk_groups = Table(
    "desk_groups",
    metadata,
    Column("desk", String, primary_key=True, info=PLAIN),
    Column("served", String, primary_key=True, info=PLAIN),
    Column("record", Integer),  # since when
    Column("at", Integer),  # 0: the desk was made for it
)

# Managers who took on the duty in a room, though they came into its desk before the room did.
duty_accepted = Table(
    "duty_accepted",
    metadata,
    Column("room", String, primary_key=True, info=PLAIN),
    Column("user", String, primary_key=True, info=PERSON),
    Column("record", Integer),
    info=ROWS,
)

# The rooms listed by a space that the configuration names.
space_rooms = Table(
    "space_rooms",
    metadata,
    Column("space", String, primary_key=True, info=PLAIN),
    Column("room", String, primary_key=True, info=PLAIN),
    Column("record", Integer),
)
Index("space_rooms_by_room", space_rooms.c.room)

# People in a room, as far as known; `role` follows from the room's levels.
members = Table(
    "members",
    metadata,
    Column("room", String, primary_key=True, info=PLAIN),
    Column("user", String, primary_key=True, info=PERSON),
    Column("membership", String, info=PLAIN),  # as in the event, or "moved" (`upgraded_rooms.py`)
    Column("display_name", Text, default="", info=words_of("user")),
    Column("role", String, default="member", info=PLAIN),
    Column("since", Integer, server_default="0"),  # when first seen there; 0: never in the room
    Column("seen", Integer, server_default="0"),  # the record of their first membership there, whichever it was
    Column("joined", Integer, server_default="0"),  # when they last came in; 0: never, or before that was kept
    Column("invited", Integer, server_default="0"),  # the record of their last invitation; 0: there was none
    info=ROWS,
)
Index("members_by_user", members.c.user)

# The last notices to people below the level that a room asks for, with their times. `room` "": for no room.
pointed = Table(
    "pointed",
    metadata,
    Column("room", String, primary_key=True, info=PLAIN),
    Column("user", String, primary_key=True, info=PERSON),
    Column("step", String, primary_key=True, info=PLAIN),  # what `VerificationAsked` or `DoorAnswered` says; "removed"
    Column("record", Integer),
    Column("at", Integer),
    info=ROWS,
)
Index("pointed_by_user", pointed.c.user)

# Several accounts of one verified person share `person`; an account without a row is its own person.
accounts = Table(
    "accounts",
    metadata,
    Column("user", String, primary_key=True, info=PERSON),
    Column("person", String, info=PERSON),
    Column("language", String, default="", info=words_of("user")),
)

_LINKED = accounts.c.user != accounts.c.person
Index("accounts_linked", accounts.c.user, accounts.c.person, sqlite_where=_LINKED, postgresql_where=_LINKED)

# A proved link between two accounts of one person; `accounts.person` follows from all links in force
# (`storage/projections/linked_accounts.py`).
links = Table(
    "links",
    metadata,
    Column("record", Integer, primary_key=True),
    Column("user", String, info=PERSON),  # the account that joined
    Column("to", String, info=PERSON),
    Column("at", Integer),
    Column("ended", Integer, server_default="0"),  # when it was found to be a mistake
)

# The master key (cross-signing) that a verified account had when it was verified.
pinned_keys = Table(
    "pinned_keys",
    metadata,
    Column("user", String, primary_key=True, info=PERSON),
    Column("key", String, info=words_of("user")),
    Column("record", Integer),
    info=ROWS,
)

# Requests to link an account to a known person, waiting for confirmation by that other account; for a day at most.
link_requests = Table(
    "link_requests",
    metadata,
    Column("user", String, primary_key=True, info=PERSON),
    Column("person", String, info=PERSON),
    Column("method", String, info=PLAIN),
    Column("level", Integer),
    Column("until", Integer),  # of the verification that they proved
    Column("lapses", Integer),
    Column("code", String, server_default="", info=words_of("user")),  # hashed; "": not asked for yet
    Column("tries", Integer, server_default="0"),
    info=ROWS,
)

# Policy lists that are watched because somebody chose them here; those of the configuration stand there.
chosen_lists = Table(
    "chosen_lists",
    metadata,
    Column("list", String, primary_key=True, info=PLAIN),
    Column("list_room", String, info=PLAIN),
    Column("trust", String, info=PLAIN),
    Column("reach", String, info=PLAIN),
    Column("room", String, info=PLAIN),  # the group for which it was chosen
    Column("by", String, info=PERSON),
    Column("record", Integer),
    Column("at", Integer),  # when that was recorded last
    Column("preview", Integer, server_default="-1"),  # the number of the preview that was confirmed
    Column("since", Integer, server_default="0"),
)

# Previews of policy lists that people asked for, by the records of their requests.
list_previews = Table(
    "list_previews",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("room", String, info=PLAIN),
    Column("by", String, info=PERSON),
    Column("list_room", String, server_default="", info=PLAIN),
    Column("entered", Integer, server_default="0"),  # 1: the bot entered the list's room for it, and has not left
    Column("reach", String, server_default="", info=PLAIN),
    Column("entries", Integer, server_default="0"),
    Column("digest", String, server_default="", info=PLAIN),  # "": not shown
    Column("record", Integer),  # the newest
    Column("asked", Integer),
    Column("at", Integer),
)
Index("list_previews_by_room", list_previews.c.list_room)

# Entries of policy lists that meant somebody who was here, and the case about each.
list_matches = Table(
    "list_matches",
    metadata,
    Column("record", Integer, primary_key=True),
    Column("list", String, info=PLAIN),
    Column("of", String, info=PLAIN),  # user or server
    Column("key", String, info=words_of("subject")),  # the state key of the entry
    Column("advice", String, info=PLAIN),
    Column("step", String, info=PLAIN),  # propose or apply
    Column("n", Integer),
    Column("room", String, info=PLAIN),
    Column("subject", String, info=PERSON),
    Column("person", String, info=PERSON),
    Column("entity", Text, info=words_of("subject")),
    Column("author", String, info=words_of("subject")),
    Column("reason", Text, info=words_of("subject")),
    Column("at", Integer),
    info=ROWS,
)
Index("list_matches_by_person", list_matches.c.person, list_matches.c.list)
Index("list_matches_by_case", list_matches.c.n)

# Entries of policy lists that meant a server of which people were here, and the case about each.
listed_servers = Table(
    "listed_servers",
    metadata,
    Column("record", Integer, primary_key=True),
    Column("list", String, info=PLAIN),
    Column("server", String, info=PLAIN),  # or a pattern over servers
    Column("key", String, info=PLAIN),  # the state key of the entry
    Column("advice", String, info=PLAIN),
    Column("step", String, info=PLAIN),  # propose or apply
    Column("n", Integer),
    Column("room", String, info=PLAIN),
    Column("people", Integer),  # of the room, on the server
    Column("author", String, info=PLAIN),
    Column("reason", Text, info=PLAIN),
    Column("at", Integer),
)
Index("listed_servers_by_server", listed_servers.c.server, listed_servers.c.list)
Index("listed_servers_by_case", listed_servers.c.n)

# Entries of our own lists, as they were ordered; the newest order counts.
published_entries = Table(
    "published_entries",
    metadata,
    Column("list", String, primary_key=True, info=PLAIN),
    Column("key", String, primary_key=True, info=PLAIN),  # made from the person's id
    Column("list_room", String, info=PLAIN),
    Column("step", String, info=PLAIN),  # published or withdrawn
    Column("n", Integer),
    Column("room", String, info=PLAIN),
    Column("word", String, info=PLAIN),
    Column("hashed", Integer),
    Column("subject", String, info=PERSON),
    Column("record", Integer),
    Column("at", Integer),
    info=ROWS,
)
Index("published_entries_by_case", published_entries.c.n)

# People and servers whom a policy list no longer touches, as far as the word of the person who said so reaches.
list_spared = Table(
    "list_spared",
    metadata,
    Column("record", Integer, primary_key=True),
    Column("list", String, info=PLAIN),
    Column("room", String, info=PLAIN),
    Column("reach", String, info=PLAIN),
    Column("n", Integer),  # the case that says so; 0: a command
    Column("subject", String, info=PERSON),
    Column("person", String, info=PERSON),
    Column("server", String, info=PLAIN),  # or a pattern over servers, instead of a person
    Column("at", Integer),
    info=ROWS,
)
Index("list_spared_by_person", list_spared.c.person, list_spared.c.list)
Index("list_spared_by_server", list_spared.c.server, list_spared.c.list)

# What was learnt from the logs of other shards (`storage/projections/shards.py`); the rows that it made say about whom.
learnt = Table(
    "learnt",
    metadata,
    Column("origin", String, primary_key=True, info=PLAIN),
    Column("era", String, primary_key=True, info=PLAIN),
    Column("idx", Integer, primary_key=True),  # there
    Column("record", Integer),  # of ours
    Column("position", Integer),  # how far that log is known with it
    Column("size", Integer),  # of the checkpoint that proved it
    Column("root", String, info=PLAIN),
    Column("refers", Integer),  # the record there that it changes; -1: none
    Column("waits", Integer),  # 1: that one is not learnt yet
    Column("what", String, info=PLAIN),
    Column("made", Integer),
    Column("until", Integer),
    Column("why", String, info=PLAIN),
    Column("method", String, info=PLAIN),
)
# The keys of their logs, as they were first seen; a key in the configuration holds instead.
shard_keys = Table(
    "shard_keys",
    metadata,
    Column("origin", String, primary_key=True, info=PLAIN),
    Column("vkey", String, info=PLAIN),
    Column("record", Integer),
)
Index("learnt_by_record", learnt.c.record)
Index("learnt_that_waits", learnt.c.origin, learnt.c.refers, learnt.c.waits)

# What policy lists say, as their rooms were last read. No record makes it: it can be read again.
list_entries = Table(
    "list_entries",
    metadata,
    Column("list_room", String, primary_key=True, info=PLAIN),
    Column("of", String, primary_key=True, info=PLAIN),
    Column("key", String, primary_key=True, info=PLAIN),
    Column("entity", String, info=PLAIN),
    Column("digest", String, info=PLAIN),
    Column("advice", String, info=PLAIN),
    Column("recommendation", String, info=PLAIN),
    Column("reason", Text, info=PLAIN),
    Column("sender", String, info=PLAIN),
    Column("event", String, info=PLAIN),
    Column("at", Integer),
)

# Links to the web console that people got in their direct rooms, by the hash of what a link ends in.
console_links = Table(
    "console_links",
    metadata,
    Column("record", Integer, primary_key=True),
    Column("ticket", String, unique=True, info=words_of("user")),
    Column("user", String, info=PERSON),
    Column("room", String, info=PLAIN),  # the direct room
    Column("at", Integer),
    Column("until", Integer),
    info=ROWS,
)
Index("console_links_by_user", console_links.c.user, console_links.c.at)

# Sessions of the web console that people opened by such a link, by the hash of what the browser holds.
console_sessions = Table(
    "console_sessions",
    metadata,
    Column("record", Integer, primary_key=True),
    Column("session", String, unique=True, info=words_of("user")),
    Column("link", Integer, unique=True),  # record of the link; below 0: they logged in at an issuer
    Column("user", String, info=PERSON),
    Column("room", String, info=PLAIN),  # the direct room
    Column("at", Integer),
    Column("until", Integer),
    Column("ended", Integer, server_default="0"),  # when it ended before its time
    info=ROWS,
)

verifications = Table(
    "verifications",
    metadata,
    Column("record", Integer, primary_key=True),
    Column("person", String, info=PERSON),
    Column("user", String, info=PERSON),
    Column("room", String, default="", info=PLAIN),
    Column("method", String, info=PLAIN),
    Column("level", Integer),
    Column("by", String, default="", info=PERSON),
    Column("at", Integer),
    Column("until", Integer),
    Column("revoked", Integer, default=0),
    Column("reach", String, server_default="", info=PLAIN),  # of a vouch: where it counts; "": anywhere
)
Index("verifications_by_person", verifications.c.person)

# Every recorded event: so that no event is recorded twice, and each can be found by its id. In the order of the
# records, so that new rows are written next to each other: in the order of ids, which are random, they would be
# scattered.
events = Table(
    "events",
    metadata,
    Column("record", Integer, primary_key=True),
    Column("event", String, unique=True, info=words_of("sender")),
    Column("room", String, info=PLAIN),
    Column("sender", String, info=PERSON),
    Column("kind", String, info=PLAIN),
    Column("at", Integer),
    info=ROWS,
)
Index("events_by_sender", events.c.room, events.c.sender, events.c.at)
Index("events_by_kind", events.c.room, events.c.kind)  # in it, as in every index, rows of one key stand by their record

# Events of people that left `events` (`storage/projections/old_events.py`): so that none is recorded twice, and each
# can still be found by its id.
old_events = Table(
    "old_events",
    metadata,
    Column("record", Integer, primary_key=True),
    Column("event", String, unique=True, info=PLAIN),  # a digest of its id
    Column("at", Integer),
)

# Who wrote in which room what has left `events`.
spoke = Table(
    "spoke",
    metadata,
    Column("room", String, primary_key=True, info=PLAIN),
    Column("user", String, primary_key=True, info=PERSON),
    Column("record", Integer),  # the newest of these events
    Column("messages", Integer),  # that no measure had removed
    Column("last", Integer),  # when they last did
    info=ROWS,
)
Index("spoke_by_record", spoke.c.record)

# Events that were refused before their delivery: they are no events of their rooms, and count nowhere as such.
withheld = Table(
    "withheld",
    metadata,
    Column("record", Integer, primary_key=True),
    Column("event", String, info=words_of("subject")),
    Column("room", String, info=PLAIN),
    Column("subject", String, info=PERSON),
    Column("at", Integer),
    info=ROWS,
)
Index("withheld_by_event", withheld.c.event)

cases = Table(
    "cases",
    metadata,
    Column("n", Integer, primary_key=True),
    Column("record", Integer),
    Column("room", String, info=PLAIN),
    Column("subject", String, info=PERSON),
    Column("person", String, info=PERSON),
    Column("rule", String, info=PLAIN),
    Column("grade", String, info=PLAIN),
    Column("decide", String, info=PLAIN),
    Column("manages", Integer),
    Column("state", String, info=PLAIN),
    Column("outcome", String, default="", info=PLAIN),
    Column("opened", Integer),
    Column("due", Integer),  # 0: nothing more is due
    Column("decided", Integer, default=0),
    Column("by", String, default="", info=PERSON),
    Column("reason", Text, default="", info=words_of("by")),
    Column("excerpt", Text, default="", info=words_of("subject")),
    Column("card", String, default="", info=PLAIN),  # event id of the card in the desk
    Column("asked", String, server_default="managers", info=PLAIN),  # the level that is to decide it
    Column("about", Integer, server_default="0"),  # the case that was neglected, or decided wrongly
    Column("remind", Integer, server_default="0"),  # half time, when people are reminded; 0: no longer
    Column("appealed", Integer, server_default="0"),  # when
    Column("appeal", Text, server_default="", info=words_of("appellant")),
    Column("lead", Integer, server_default="0"),  # the case on whose card it is shown; 0: its own
    Column("appellant", String, server_default="", info=PERSON),  # the last appellant
    Column("claimed", String, server_default="", info=PERSON),  # who has taken it
    Column("extended", Integer, server_default="0"),  # when its deadline was put off
    Column("burst", Integer, server_default="0"),  # the first case of the burst on whose card it is shown; 0: none
    Column("burst_card", String, server_default="", info=PLAIN),  # of that first case: the event id of the common card
)
Index("cases_by_subject", cases.c.person, cases.c.opened)
Index("cases_by_state", cases.c.room, cases.c.state, cases.c.due)
Index("cases_by_card", cases.c.card)
Index("cases_by_due", cases.c.due)
Index("cases_by_remind", cases.c.remind)
Index("cases_about", cases.c.about)
Index("cases_by_lead", cases.c.lead)
Index("cases_by_burst", cases.c.burst)
Index("cases_by_room", cases.c.room, cases.c.opened)
Index("cases_by_decider", cases.c.by)
# A case that is to be decided. Written without parameters, so that the index below is seen to have all of them.
WAITS = or_(cases.c.outcome == literal_column("''"), cases.c.state == literal_column("'appealed'"))
Index("cases_waiting", cases.c.due, sqlite_where=WAITS, postgresql_where=WAITS)

# People responsible for a case: those on duty when it came, or to whom it was passed on.
assignments = Table(
    "assignments",
    metadata,
    Column("record", Integer, primary_key=True),
    Column("n", Integer),
    Column("user", String, info=PERSON),
    Column("asked", String, info=PLAIN),  # managers | owner | operator
    Column("at", Integer),
    Column("told", Integer, server_default="0"),  # 1: a record shows that they were told
    Column("gone", Integer, server_default="0"),  # when they left, if it still waited
    Column(
        "gone_by", String, server_default="", info=PERSON
    ),  # the person who caused it: they themselves, or somebody else
    Column("excused", Integer, server_default="0"),  # when its time was over while they were gone
)
Index("assignments_by_case", assignments.c.n)

# Questions in a desk that are answered by a reaction.
questions = Table(
    "questions",
    metadata,
    Column("record", Integer, primary_key=True),
    Column("made", String, info=PLAIN),  # the event
    Column("n", Integer),
    Column("what", String, info=PLAIN),  # as in `QuestionAsked`
    Column("cases", String, info=PLAIN),
    info=ROWS,
)
Index("questions_by_event", questions.c.made)

# Each decision of a case: `cases.by` made the last one.
decisions = Table(
    "decisions",
    metadata,
    Column("record", Integer, primary_key=True),
    Column("n", Integer),
    Column("by", String, info=PERSON),
    Column("what", String, info=PLAIN),  # upheld | dismissed
    Column("state", String, info=PLAIN),  # decided, or on appeal: affirmed | reversed
    Column("at", Integer),
)
Index("decisions_by_case", decisions.c.n)
Index("decisions_by_time", decisions.c.at)
Index("decisions_by_person", decisions.c.by, decisions.c.n)

# What rules on trial would have found, by the record of the event.
trials = Table(
    "trials",
    metadata,
    Column("record", Integer, primary_key=True),
    Column("room", String, info=PLAIN),
    Column("rule", String, info=PLAIN),
    Column("message", Integer),
    Column("at", Integer),
)
Index("trials_by_room", trials.c.room, trials.c.at)

# How many records of a kind a group had a day (`storage/projections/daily.py`).
daily = Table(
    "daily",
    metadata,
    Column("room", String, primary_key=True, info=PLAIN),
    Column("day", Integer, primary_key=True),  # since 1970, UTC
    Column("kind", String, primary_key=True, info=PLAIN),  # message | finding | report | decision | appeal
    Column("count", Integer),
    Column("record", Integer),  # the first of them
)
Index("daily_by_day", daily.c.day, daily.c.kind, daily.c.count)  # whole: sums are read from it alone

# Everything that happened to a case, one row a record: its time line. What reporters did is here without who they are.
case_steps = Table(
    "case_steps",
    metadata,
    Column("record", Integer, primary_key=True),
    Column("n", Integer),
    Column("at", Integer),
    Column("step", String, info=PLAIN),  # as in the facts about cases; "decided", "reported", "stated"
    Column("what", String, default="", info=PLAIN),  # more of it: the outcome, the way a report came
    Column("by", String, default="", info=PERSON),  # who did it
    Column("subject", String, default="", info=PERSON),  # whom it concerns; of some steps, whom the case concerns
    Column("state", String, default="", info=PLAIN),  # what the case is from now on; "": as before
    Column("asked", String, default="", info=PLAIN),
    Column("due", Integer, default=0),
)
Index("case_steps_by_case", case_steps.c.n, case_steps.c.step)

case_notes = Table(
    "case_notes",
    metadata,
    Column("record", Integer, primary_key=True),
    Column("n", Integer),
    Column("by", String, default="", info=PERSON),
    Column("words", Text, default="", info=words_of("by")),
    Column("at", Integer),
)
Index("case_notes_by_case", case_notes.c.n)

# Statements of reasons, each as it was given.
statements = Table(
    "statements",
    metadata,
    Column("record", Integer, primary_key=True),
    Column("n", Integer),
    Column("subject", String, default="", info=PERSON),
    Column("at", Integer),
    Column("statement", Text, default="", info=words_of("subject")),  # JSON
)
Index("statements_by_case", statements.c.n)

reports = Table(
    "reports",
    metadata,
    Column("record", Integer, primary_key=True),
    Column("n", Integer),
    Column("message", Integer),  # record of the event it points to
    Column("subject", String, default="", info=PERSON),
    Column("by", String, default="", info=PERSON),
    Column("reason", Text, default="", info=words_of("by")),
    Column("at", Integer),
    Column("channel", String, server_default="member", info=PLAIN),  # member | operator | mail | server
    Column("contact", Text, server_default="", info=OPERATORS),  # how somebody from outside can be answered
)
Index("reports_by_case", reports.c.n)
Index("reports_by_reporter", reports.c.by, reports.c.at)

# People who are away from their duties, everywhere.
away = Table(
    "away",
    metadata,
    Column("user", String, primary_key=True, info=PERSON),
    Column("record", Integer),
    Column("since", Integer),
    Column("until", Integer),
    info=ROWS,
)

# The hours in which people are on duty in a room; if a room has none, everybody is on duty.
rosters = Table(
    "rosters",
    metadata,
    Column("room", String, primary_key=True, info=PLAIN),
    Column("user", String, primary_key=True, info=PERSON),
    Column("record", Integer),
    Column("hours", Text, info=words_of("user")),
    info=ROWS,
)

# Tasks that wait for the operator.
tasks = Table(
    "tasks",
    metadata,
    Column("record", Integer, primary_key=True),
    Column("task", String, info=PLAIN),
    Column("n", Integer),
    Column("room", String, default="", info=PLAIN),
    Column("subject", String, default="", info=PERSON),
    Column("at", Integer),
    Column("done", Integer, default=0),
    Column("result", String, default="", info=PLAIN),
    Column("reason", Text, default="", info=OPERATORS),
)

# Files about people: begun, declined; the table below has each step taken.
dossiers = Table(
    "dossiers",
    metadata,
    Column("record", Integer, primary_key=True),
    Column("subject", String, default="", info=PERSON),
    Column("covers", Text, default="", info=PLAIN),  # the numbers of the cases, as JSON
    Column("task", Integer, default=-1),  # record
    Column("state", String, default="open", info=PLAIN),  # open | declined | exported
    Column("at", Integer),
    Column("reader", String, default="", info=OPERATORS),
    Column("reason", Text, default="", info=OPERATORS),
)

dossier_steps = Table(
    "dossier_steps",
    metadata,
    Column("record", Integer, primary_key=True),
    Column("dossier", Integer),  # record that began it
    Column("step", String, info=PLAIN),  # approved | declined | exported
    Column("at", Integer),
    Column("reader", String, default="", info=OPERATORS),
    Column("reason", Text, default="", info=OPERATORS),
    Column("bar", Text, default="", info=OPERATORS),
    Column("digest", String, default="-", info=PLAIN),
    Column("how", String, server_default="user", info=PLAIN),  # of an approval: user | key | account
    Column("key", String, server_default="-", info=PLAIN),
    Column("command", Integer, server_default="-1"),  # record of an approval from an account
)
Index("dossier_steps_by_dossier", dossier_steps.c.dossier)

# Keys with which operators sign approvals of files.
approvers = Table(
    "approvers",
    metadata,
    Column("record", Integer, primary_key=True),
    Column("key", String, info=PLAIN),
    Column("name", String, info=OPERATORS),
    Column("account", String, info=OPERATORS),
    Column("at", Integer),
    Column("reader", String, info=OPERATORS),
    Column("ended", Integer, server_default="0"),
)

# Rules of single rooms; a removed rule is kept as long as its record, since cases rest on it.
room_rules = Table(
    "room_rules",
    metadata,
    Column("record", Integer, primary_key=True),
    Column("room", String, info=PLAIN),
    Column("name", String, info=PLAIN),
    Column("settings", Text, info=RULES),  # JSON
    Column("by", String, server_default="", info=PERSON),
    Column("at", Integer),
    Column("ended", Integer, server_default="0"),
)
Index("room_rules_by_room", room_rules.c.room, room_rules.c.ended)

# Choices of owners for their rooms; the configuration decides the rest.
room_settings = Table(
    "room_settings",
    metadata,
    Column("room", String, primary_key=True, info=PLAIN),
    Column("setting", String, primary_key=True, info=PLAIN),  # verify | digest
    Column("value", String, info=PLAIN),
    Column("record", Integer),
    Column("by", String, server_default="", info=PERSON),
)

# The rooms whose owners chose that they ask the policy server before they deliver messages.
policy_rooms = Table(
    "policy_rooms",
    metadata,
    Column("room", String, primary_key=True, info=PLAIN),
    Column("since", Integer),
    Column("down", Integer),  # since when they do not ask, as it cannot be reached; 0: they ask
    Column("record", Integer),
    Column("by", String, info=PERSON),
)

evidence = Table(
    "evidence",
    metadata,
    Column("record", Integer, primary_key=True),  # of the event
    Column("n", ForeignKey("cases.n"), primary_key=True),
    Column("event", String, info=EVENT),
)
Index("evidence_by_case", evidence.c.n)
Index("evidence_by_event", evidence.c.event)

credit = Table(
    "credit",
    metadata,
    Column("record", Integer, primary_key=True),
    Column("person", String, info=PERSON),
    Column("user", String, info=PERSON),
    Column("at", Integer),
    Column("entry", String, info=PLAIN),
    Column("cost", Integer),
    Column("grade", String, info=PLAIN),
    Column("rule", String, info=PLAIN),
    Column("n", Integer),
    Column("room", String, default="", info=PLAIN),
    Column("undoes", Integer, default=-1),
    Column("ledger", String, server_default="credit", info=PLAIN),
    Column("reach", String, server_default="", info=PLAIN),  # a community; "": the whole deployment
)
Index("credit_by_person", credit.c.person)
Index("credit_by_case", credit.c.n)

sanctions = Table(
    "sanctions",
    metadata,
    Column("record", Integer, primary_key=True),
    Column("kind", String, info=PLAIN),
    Column("room", String, default="", info=PLAIN),  # "": every protected room
    Column("subject", String, info=PERSON),
    Column("person", String, info=PERSON),
    Column("at", Integer),
    Column("until", Integer),  # 0: no end
    Column("n", Integer),
    Column("basis", String, info=PLAIN),
    Column("rule", String, info=PLAIN),
    Column("by", String, default="", info=PERSON),
    Column("reason", Text, default="", info=words_of("by")),
    Column("event", String, default="", info=words_of("subject")),
    Column("ended", Integer, default=0),
    Column("why_ended", String, default="", info=PLAIN),
    Column("every", Integer, server_default="0"),  # of slow mode: milliseconds
    Column("reach", String, server_default="", info=PLAIN),  # in all rooms of this community; "": as `room`
    # Of a sweep: the record of the oldest message that it redacts; it redacts those before its own record.
    Column("oldest", Integer, server_default="0"),
    Column("server", String, server_default="", info=PLAIN),  # that the room lets in no longer
)
Index("sanctions_by_room", sanctions.c.room, sanctions.c.kind, sanctions.c.ended)
Index("sanctions_by_event", sanctions.c.event)
Index("sanctions_by_person", sanctions.c.person, sanctions.c.ended)
Index("sanctions_in_force", sanctions.c.ended, sanctions.c.until)

# Readings of data held on people: so that no note is recorded twice, and mere looks once a day.
readings = Table(
    "readings",
    metadata,
    Column("record", Integer, primary_key=True),
    Column("note", String, info=PLAIN),  # the name the command line gave it; "-" for none
    Column("what", String, info=PLAIN),
    Column("subject", String, server_default="", info=PERSON),  # "": possibly anybody
    Column("by", String, server_default="", info=PERSON),  # in a chat
    Column("reader", String, server_default="", info=OPERATORS),  # on the command line
    Column("day", Integer),  # since 1970
)
Index("readings_by_note", readings.c.note)
Index("readings_by_day", readings.c.day, readings.c.subject)

# Requests of people about their own data: an erasure is confirmed by the number of its record.
requests = Table(
    "requests",
    metadata,
    Column("record", Integer, primary_key=True),  # of the message that asked
    Column("user", String, info=PERSON),
    Column("what", String, info=PLAIN),
    Column("at", Integer),
    info=ROWS,
)

# Values that the bot changed in rooms because of sanctions, and the values before.
holds = Table(
    "holds",
    metadata,
    Column("room", String, primary_key=True, info=PLAIN),
    Column("user", String, primary_key=True, info=PERSON),
    Column(
        "what", String, primary_key=True, info=PLAIN
    ),  # level | ban; for the room itself: posting, posting TYPE, joining, acl SERVER
    Column("step", String, info=PLAIN),  # intended | held
    Column("prior", String, info=PLAIN),
    Column("held", String, info=PLAIN),
    Column("corrections", Integer, default=0),
)

# The sealed state of verifications in progress (`storage/state/verification_dialogues.py`). One per person.
challenges = Table(
    "challenges",
    metadata,
    Column("user", String, primary_key=True, info=PERSON),
    Column("method", String, info=PLAIN),
    Column("state", Text, info=words_of("user")),
    Column("started", Integer),
    Column("until", Integer),
    Column("tries", Integer, server_default="0"),
    Column("poll", Integer, server_default="0"),  # when to look again; 0: never
    info=ROWS,
)

# Attempts to verify, kept for an hour or as long as the limits look back; `about` is an address, hashed with a key.
challenge_attempts = Table(
    "challenge_attempts",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Integer),
    Column("user", String, info=PERSON),
    Column("about", String, server_default="", info=PLAIN),
    info=ROWS,
)
Index("challenge_attempts_by_time", challenge_attempts.c.at)

# Rooms whose history is still to be read (`storage/state/backfill.py`).
gaps = Table(
    "gaps",
    metadata,
    Column("room", String, primary_key=True, info=PLAIN),
    Column("until", String, server_default="", info=PLAIN),  # an event; "": until any known event
    Column("since", Integer, server_default="0"),  # when the homeserver had last been heard before
    Column("bottom", Integer, server_default="0"),  # the way back is finished, the pages are being read
    Column("told", Text, server_default="[]", info=SOON),  # state reported outside the timeline: [event, type, key]
)

# The pages passed on the way back, 0 the newest; a row is deleted when its page is read.
gap_pages = Table(
    "gap_pages",
    metadata,
    Column("room", String, primary_key=True, info=PLAIN),
    Column("n", Integer, primary_key=True),
    Column("start", Text, info=PLAIN),
    Column("stop", Text, info=PLAIN),
)

# Events that the homeserver delivered for rooms that are behind: they may be redacted before they are read again.
gap_events = Table(
    "gap_events",
    metadata,
    Column("event", String, primary_key=True, info=PLAIN),
    Column("room", String, info=PLAIN),
    Column("raw", Text, info=SOON),  # JSON
    Column("n", Integer, server_default="0"),  # in the order in which they came
)
Index("gap_events_by_room", gap_events.c.room)

# Actions that wait to be sent to the homeserver. `txn` makes a repeat harmless.
outbox = Table(
    "outbox",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("txn", String, unique=True, info=PLAIN),
    Column("priority", Integer),
    Column("room", String, default="", info=PLAIN),
    Column("action", Text, info=SOON),
    Column("record", Integer),
    Column("not_before", Integer, default=0),
    Column("attempts", Integer, default=0),
    Column("merge", String, nullable=True, unique=True, info=SOON),  # what makes two waiting actions the same
    Column("queued", Integer, server_default="0"),  # when; 0: by a version that did not record it
)
Index("outbox_in_order", outbox.c.priority, outbox.c.id)
Index("outbox_of_rooms", outbox.c.priority, outbox.c.room, outbox.c.not_before, outbox.c.id)
Index("outbox_by_time", outbox.c.not_before)
