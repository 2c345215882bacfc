"""The lines of a notice as a Matrix message, in the language of its reader.

Rules kept here:
- A message to a person is an `m.text` that mentions them, since an `m.notice` notifies nobody. It never begins like a
  command to another bot.
- Answers to commands, and notices to all, are `m.notice`.
- Nobody is mentioned except the people spoken to.
- Every field is escaped (`catalog.py`).
"""

from collections.abc import Mapping, Sequence

from moderation.policy import Policy
from moderation.values.events import Json
from moderation.values.ids import EventId, UserId
from moderation.values.notices import Bracketed, Line, RoomName, RoomNames, RuleText, Value, Who

from .catalog import Catalog, Rendered, ShownPerson

MESSAGE = "m.room.message"
HTML = "org.matrix.custom.html"
MOST_ROOMS = 20  # that are named in one place
MARK = "· "  # put before a text that does not begin with a letter or digit


class Speech:
    """The texts, and the operator's words for the rules, put into messages."""

    def __init__(self, catalog: Catalog, policy: Policy, default_language: str) -> None:
        self._catalog = catalog
        self._rules = {rule.name: rule.text for rule in policy.rules}
        self._default = default_language

    def language(self, *chosen: str) -> str:
        """Return the first language that was chosen, else the deployment's."""
        return next((language for language in chosen if language), self._default)

    def text(self, lines: Sequence[Line], language: str, names: Mapping[str, str]) -> Rendered:
        """Return the lines as text and as HTML; `names` are those of rooms and people."""
        done = [self._line(each, language, names) for each in lines]
        return Rendered(plain="\n".join(text.plain for text in done), html="<br>".join(text.html for text in done))

    def message(
        self,
        lines: Sequence[Line],
        language: str,
        names: Mapping[str, str],
        *,
        to: Sequence[UserId] = (),
        answer: bool = False,
    ) -> dict[str, Json]:
        """Return the content of an `m.room.message`.

        It notifies the people in `to`, unless it is an `answer`: the person who gave the command is looking already.
        """
        text = self.text(lines, language, names)
        rings = bool(to) and not answer
        if rings:
            text = _not_a_command(text)
        mentions: dict[str, Json] = {"user_ids": list(to)} if to else {}
        return {
            "msgtype": "m.text" if rings else "m.notice",
            "body": text.plain,
            "format": HTML,
            "formatted_body": text.html,
            "m.mentions": mentions,
        }

    def _line(self, each: Line, language: str, names: Mapping[str, str]) -> Rendered:
        fields = {name: self._value(value, language, names) for name, value in each.fields.items()}
        return self._catalog.render(language, each.key, **fields)

    def _value(self, value: Value, language: str, names: Mapping[str, str]) -> object:
        match value:
            case RuleText():
                return self.rule(value.rule, language, names.get(value.rule, ""))
            case RoomName():
                return names.get(value.room) or value.room
            case RoomNames():
                return self._rooms(value.rooms, language, names)
            case Who():
                return ShownPerson(value.user, names.get(value.user, ""))
            case Bracketed():
                return self._listed([self._line(each, language, names) for each in value.lines], language)
            case _:
                return value

    def _rooms(self, rooms: Sequence[str], language: str, names: Mapping[str, str]) -> str:
        shown = [names.get(room) or room for room in rooms[:MOST_ROOMS]]
        more = (f"+{len(rooms) - MOST_ROOMS}",) if len(rooms) > MOST_ROOMS else ()
        return self._catalog.text(language, "list.between").join((*shown, *more))

    def _listed(self, items: Sequence[Rendered], language: str) -> Rendered:
        if not items:
            return Rendered("", "")
        between = self._catalog.text(language, "list.between")
        joined = Rendered(between.join(each.plain for each in items), between.join(each.html for each in items))
        return self._catalog.render(language, "list.all", items=joined)

    def rule(self, name: str, language: str, of_room: str = "") -> str:
        """Return a rule in the words of the operator, else in those of its room, else its name.

        The bot's own rules have texts of ours.
        """
        words = self._rules.get(name, {})
        if text := words.get(language) or words.get(self._default):
            return text
        own = f"rule.{name}"
        return self._catalog.text(language, own) if self._catalog.has(own) else of_room or name


def _not_a_command(text: Rendered) -> Rendered:
    """Return the text so that it does not begin with a sign that a bot could take for its prefix.

    Some texts begin with the name of a room or a person, which people choose.
    """
    if text.plain[:1].isalnum():
        return text
    return Rendered(plain=MARK + text.plain, html=MARK + text.html)


def in_reply(content: dict[str, Json], event: EventId | None, thread: EventId | None = None) -> dict[str, Json]:
    """Return the content as a reply, in the thread of the question, if there was one."""
    if event is None:
        return content
    reply: dict[str, Json] = {"m.in_reply_to": {"event_id": event}}
    if thread is not None:
        reply = {"rel_type": "m.thread", "event_id": thread, "is_falling_back": event == thread, **reply}
    return {**content, "m.relates_to": reply}


def in_thread(content: dict[str, Json], root: EventId | None) -> dict[str, Json]:
    """Return the content as a message in a thread."""
    if root is None:
        return content
    return {
        **content,
        "m.relates_to": {
            "rel_type": "m.thread",
            "event_id": root,
            "is_falling_back": True,
            "m.in_reply_to": {"event_id": root},
        },
    }


def replacing(content: dict[str, Json], event: EventId) -> dict[str, Json]:
    """Return the content as an edit of one of our own messages.

    An edit notifies nobody, so it mentions nobody again.
    """
    return {
        **content,
        "m.mentions": {},
        "body": f"* {content['body']}",
        "m.new_content": content,
        "m.relates_to": {"rel_type": "m.replace", "event_id": event},
    }
