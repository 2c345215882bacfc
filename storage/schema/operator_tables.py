"""Operators: their tasks, files about people, and the keys with which these are approved."""

from sqlalchemy import Index, Integer, String, Text

from .columns import OPERATORS, PERSON, PLAIN, Column, table

# Tasks that wait for the operator.
tasks = table(
    "tasks",
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
dossiers = table(
    "dossiers",
    Column("record", Integer, primary_key=True),
    Column("subject", String, default="", info=PERSON),
    Column("covers", Text, default="", info=PLAIN),  # the numbers of the cases, as JSON
    Column("task", Integer, default=-1),  # record
    Column("state", String, default="open", info=PLAIN),  # open | declined | exported
    Column("at", Integer),
    Column("reader", String, default="", info=OPERATORS),
    Column("reason", Text, default="", info=OPERATORS),
)

dossier_steps = table(
    "dossier_steps",
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
approvers = table(
    "approvers",
    Column("record", Integer, primary_key=True),
    Column("key", String, info=PLAIN),
    Column("name", String, info=OPERATORS),
    Column("account", String, info=OPERATORS),
    Column("at", Integer),
    Column("reader", String, info=OPERATORS),
    Column("ended", Integer, server_default="0"),
)
