"""The settings of a room and who chose them, in lines."""

from moderation.judge.newcomers import held_in
from moderation.model.context import RoomView
from moderation.people.verification import asked_of
from moderation.policy import Policy
from moderation.rooms.join_waves import measure_in
from moderation.values.notices import Line, Phrase, line

from .newcomer_lines import held_words


def setting_lines(room: RoomView, policy: Policy, *, language: str, digest: str) -> tuple[Line, ...]:
    """Return a line for each setting that the owner of a room can choose.

    Where they chose nothing, the settings of the operator hold: policy, language, and the time of the daily digest
    ("": there is none).
    """
    chosen, asked, held = room.choices, asked_of(room, policy), held_in(room, policy)
    joins = measure_in(room, policy)
    return (
        line(
            "set.language",
            value=Phrase(f"language.{room.language or language}"),
            source=_source(room=room.language != ""),
        ),
        line(
            "set.verify" if asked.of_members else "set.verify-not",
            level=asked.write,
            below=Phrase(f"set.below.{asked.below}"),
            source=_source(room=chosen.write > 0),
        ),
        line(
            "set.digest" if digest and chosen.digest else "set.digest-not",
            at=digest,
            source=_source(room=not chosen.digest),
        ),
        line(
            "set.newcomers" if held else "set.newcomers-not",
            what=held_words(held),
            source=_source(room=bool(chosen.hold)),
        ),
        line(
            "set.joins" if joins else "set.joins-not",
            what=Phrase(f"set.wave.{joins or 'tell'}"),
            source=_source(room=chosen.joins is not None and joins == chosen.joins),
        ),
    )


def _source(*, room: bool) -> Phrase:
    return Phrase("set.source.room" if room else "set.source.config")
