"""Cases: their state, people, evidence, reports, decisions and steps."""

from sqlalchemy import ForeignKey, Index, Integer, String, Text, literal_column, or_

from .columns import EVENT, OPERATORS, PERSON, PLAIN, ROWS, Column, table, words_of

cases = table(
    "cases",
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
assignments = table(
    "assignments",
    Column("record", Integer, primary_key=True),
    Column("n", Integer),
    Column("user", String, info=PERSON),
    Column("asked", String, info=PLAIN),  # managers | owner | operator
    Column("at", Integer),
    Column("told", Integer, server_default="0"),  # 1: a record shows that they were told
    Column("gone", Integer, server_default="0"),  # when they left, if it still waited
    # The person who caused it: they themselves, or somebody else.
    Column("gone_by", String, server_default="", info=PERSON),
    Column("excused", Integer, server_default="0"),  # when its time was over while they were gone
)
Index("assignments_by_case", assignments.c.n)

# Questions in a desk that are answered by a reaction.
questions = table(
    "questions",
    Column("record", Integer, primary_key=True),
    Column("made", String, info=PLAIN),  # the event
    Column("n", Integer),
    Column("what", String, info=PLAIN),  # as in `QuestionAsked`
    Column("cases", String, info=PLAIN),
    info=ROWS,
)
Index("questions_by_event", questions.c.made)

# Each decision of a case: `cases.by` made the last one.
decisions = table(
    "decisions",
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

# Everything that happened to a case, one row a record: its time line. What reporters did is here without who they are.
case_steps = table(
    "case_steps",
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

case_notes = table(
    "case_notes",
    Column("record", Integer, primary_key=True),
    Column("n", Integer),
    Column("by", String, default="", info=PERSON),
    Column("words", Text, default="", info=words_of("by")),
    Column("at", Integer),
)
Index("case_notes_by_case", case_notes.c.n)

# Statements of reasons, each as it was given.
statements = table(
    "statements",
    Column("record", Integer, primary_key=True),
    Column("n", Integer),
    Column("subject", String, default="", info=PERSON),
    Column("at", Integer),
    Column("statement", Text, default="", info=words_of("subject")),  # JSON
)
Index("statements_by_case", statements.c.n)

reports = table(
    "reports",
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

evidence = table(
    "evidence",
    Column("record", Integer, primary_key=True),  # of the event
    Column("n", ForeignKey("cases.n"), primary_key=True),
    Column("event", String, info=EVENT),
)
Index("evidence_by_case", evidence.c.n)
Index("evidence_by_event", evidence.c.event)
