"""Closing checkpoints of days: where others keep, cosign or stamp them."""

from typing import Literal

from moderation.values.ids import RoomId

from .base import NO_ROOM, OUTSIDE, Action

# Why a shard posts its log's own checkpoint: the joint one does not cover its log, has another closing checkpoint of
# it or of another, is not signed by a shard, does not name the same shards, could not be had in time, or is gone.
OwnBecause = Literal["", "without", "other", "forged", "unnamed", "late", "gone"]


class Anchor(Action, name="anchor", merge="anchor {where} {room} {day}"):
    """Post the closing checkpoint of a day in the desk of a group (`where` "desk"), or in the group ("room").

    With `joint`, the root of the joint checkpoint of all shards, that one is posted; `why` not, if there are shards.
    """

    day: str
    where: Literal["desk", "room"] = "desk"
    joint: str = ""
    why: OwnBecause = ""


class Witness(Action, name="witness", priority=OUTSIDE, queue=None, merge="witness {day}"):
    """Have the closing checkpoint of a day cosigned by the witness. It concerns no room."""

    room: RoomId = NO_ROOM
    day: str


class Timestamp(Action, name="timestamp", priority=OUTSIDE, queue=None, merge="timestamp {day}"):
    """Have the closing checkpoint of a day stamped by the time stamping authority. It concerns no room."""

    room: RoomId = NO_ROOM
    day: str
