"""Hostile events: every type that the product reads, with contents that are nearly right or quite wrong."""

import json
from typing import Any

from hypothesis import strategies as st

from tests.fuzz.vocabulary import deep, ids, json_values, scalars, texts

MESSAGES = ("m.room.message", "m.sticker", "m.poll.start", "org.matrix.msc3381.poll.start")
STATE = (
    "m.room.member",
    "m.room.power_levels",
    "m.room.create",
    "m.room.name",
    "m.room.topic",
    "m.room.join_rules",
    "m.room.encryption",
    "m.room.pinned_events",
    "m.room.tombstone",
    "m.room.server_acl",
    "m.room.canonical_alias",
)
OTHERS = ("m.reaction", "m.room.redaction", "m.room.encrypted", "org.example.custom", "i", "__proto__")
MSGTYPES = (
    "m.text", "m.notice", "m.emote", "m.image", "m.file", "m.audio", "m.video", "m.location",
    "m.key.verification.request", "org.example",
)  # fmt: skip
KEYS = (
    "event_id", "sender", "type", "content", "origin_server_ts", "state_key", "unsigned", "redacted_because", "redacts",
    "msgtype", "body", "format", "filename", "formatted_body", "m.relates_to", "rel_type", "m.in_reply_to", "key",
    "m.new_content", "m.mentions", "user_ids", "room", "m.text", "m.poll", "question", "answers", "info", "size",
    "url", "file", "membership", "displayname", "avatar_url", "reason", "name", "topic", "m.topic", "session_id",
    "is_falling_back", "users", "users_default", "events", "events_default", "state_default", "ban", "kick", "redact",
    "invite", "room_version", "additional_creators", "creator", "join_rule", "allow", "algorithm", "ciphertext",
    "org.answerable.card", "org.answerable.made_for", "case", "request", "to", "methods", "from_device", "geo_uri",
)  # fmt: skip
BOT, ANN, BEN, MAX = "@bot:example.org", "@ann:example.org", "@ben:example.org", "@max:example.org"
PEOPLE = (ANN, BEN, MAX, BOT, "@owner:example.org", "@op:example.org")

keys = st.sampled_from(KEYS)
anything = json_values(keys)
people = st.sampled_from(PEOPLE) | ids
targets = st.sampled_from(["$notice", "$card", "$hello", "$nowhere"]) | ids


def loosely(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return objects with these fields, of which some are missing and some have other values."""
    bent = {name: st.one_of(right, right, right, anything) for name, right in fields.items()}
    return st.fixed_dictionaries({}, optional=bent)


relations = loosely(
    rel_type=st.sampled_from(["m.replace", "m.thread", "m.annotation", "m.reference"]),
    event_id=targets,
    key=st.sampled_from(["\u2705", "\u274c", "\U0001f50e", "\U0001f6a9", "\u26a0\ufe0f", "x" * 300]) | texts,
    is_falling_back=st.booleans(),
    **{"m.in_reply_to": loosely(event_id=targets)},
)
mentions = loosely(user_ids=st.lists(people, max_size=4), room=st.booleans())
marks = {
    "org.answerable.card": loosely(case=st.integers(), request=texts),
    "org.answerable.made_for": loosely(purpose=texts, served=texts, user=people),
}
words = loosely(
    msgtype=st.sampled_from(MSGTYPES), body=texts, format=texts, formatted_body=texts, filename=texts,
    url=ids, to=people, info=loosely(size=scalars, mimetype=texts), **{"m.mentions": mentions},
)  # fmt: skip
posted = st.tuples(
    words,
    loosely(**{"m.relates_to": relations, "m.new_content": words, **marks}),
    st.dictionaries(keys, anything, max_size=2),
).map(lambda parts: {**parts[2], **parts[1], **parts[0]})
polls = loosely(
    **{
        "m.poll": loosely(question=loosely(body=texts), answers=st.lists(loosely(body=texts), max_size=3)),
        "m.text": texts,
        "m.relates_to": relations,
    }
)
levels = st.integers(-2, 101) | scalars
powers = loosely(
    users=st.dictionaries(people, levels, max_size=4),
    events=st.dictionaries(st.sampled_from(STATE) | texts, levels, max_size=3),
    users_default=levels, events_default=levels, state_default=levels, ban=levels, kick=levels,
    redact=levels, invite=levels,
)  # fmt: skip
states = {
    "m.room.member": loosely(
        membership=st.sampled_from(["join", "leave", "ban", "invite", "knock"]), displayname=texts, reason=texts
    ),
    "m.room.power_levels": powers,
    "m.room.create": loosely(
        room_version=st.sampled_from(["1", "5", "10", "11", "12"]), additional_creators=st.lists(people)
    ),
    "m.room.name": loosely(name=texts),
    "m.room.topic": loosely(
        topic=texts, **{"m.topic": loosely(**{"m.text": st.lists(loosely(body=texts, mimetype=texts))})}
    ),
    "m.room.join_rules": loosely(join_rule=texts, allow=st.lists(anything, max_size=2)),
    "m.room.encryption": loosely(algorithm=texts),
}
contents = {
    **dict.fromkeys(MESSAGES, posted | polls),
    "m.reaction": loosely(**{"m.relates_to": relations}),
    "m.room.redaction": loosely(redacts=targets, reason=texts),
    "m.room.encrypted": loosely(session_id=texts, algorithm=texts, ciphertext=anything, **{"m.relates_to": relations}),
    **states,
}


def _event(type_: str, content: Any, sender: str, number: int, more: dict[str, Any], key: Any) -> dict[str, Any]:
    event = {"event_id": f"$e{number}", "sender": sender, "origin_server_ts": 1, "type": type_, "content": content}
    if type_ in STATE:
        event["state_key"] = key
    return {**event, **more}


def _of_type(type_: str) -> st.SearchStrategy[dict[str, Any]]:
    key = people if type_ == "m.room.member" else st.just("") | texts
    broken: st.SearchStrategy[dict[str, Any]] = st.just({}) | st.just({}) | st.dictionaries(keys, anything, max_size=2)
    numbers = st.integers(0, 2**60)
    content = contents.get(type_, st.dictionaries(keys, anything, max_size=3))
    return st.builds(_event, st.just(type_), content | anything, st.sampled_from(PEOPLE), numbers, broken, key)


events = st.one_of(*map(_of_type, (*MESSAGES[:1], *MESSAGES, *STATE[:4], *STATE, *OTHERS)))


def heavy() -> dict[str, dict[str, Any]]:
    """Return events of the largest size that a homeserver accepts, each bad for another reason."""
    size = 60_000

    def message(number: int, **content: Any) -> dict[str, Any]:
        return _event("m.room.message", {"msgtype": "m.text", "body": "x", **content}, ANN, number, {}, "")

    html = {"format": "org.matrix.custom.html"}
    named = [f"@u{number}:x.org" for number in range(10_000)]
    pills = '<a href="https://matrix.to/#/@ann:example.org">Ann</a>'
    bodies = {
        "one long word": "x" * size,
        "many short words": "x " * (size // 2),
        "near misses": "purple elephan " * (size // 15),
        "bidi and nothing": "\u202e\u200b\u2066" * (size // 9),
        "stacked accents": "a" + "\u0300" * (size // 2),
        "look-alikes": "\u0440\u0435" * (size // 4),
        "spaces": " " * size,
        "letters apart": "p.u.r.p.l.e. " * (size // 13),
        "addresses": "http://a.b/@c?d#e " * (size // 18),
        "dots": "a." * (size // 2),
        "quotation": "> <@ann:example.org> x\n" * (size // 23),
        "digits": "forbidden " + "1" * size,
        "Han": "\u7d2b" * (size // 3),
    }
    htmls = {
        "open tags": "<a " * (size // 3),
        "open comments": "<!--" * (size // 4),
        "nested": "<b>" * (size // 3),
        "entities": "&#" * (size // 2),
        "digits of an entity": "&#" + "0" * size + "65;",
        "pills": pills * (size // len(pills)),
        "quoted replies": "<mx-reply>" * (size // 10),
        "attributes": "<a " + "x='y' " * (size // 6) + ">",
        "less than": "<" * size,
        "open attribute": '<img alt="' + "x" * size,
    }  # fmt: skip
    found = {f"body: {name}": message(1, body=text) for name, text in bodies.items()}
    found |= {f"html: {name}": message(1, **html, formatted_body=text) for name, text in htmls.items()}
    found["10,000 mentions"] = message(1, **{"m.mentions": {"user_ids": named}})
    found["a poll of 5,000 answers"] = _event(
        "m.poll.start",
        {"m.poll": {"question": {"body": "q"}, "answers": [{"body": f"answer {n}"} for n in range(5000)]}},
        ANN, 1, {}, "",
    )  # fmt: skip
    found["deep"] = message(1, deep=deep(15_000))
    found["many names"] = message(1, **{f"k{number}": number for number in range(6000)})
    found["power levels"] = _event("m.room.power_levels", {"users": dict.fromkeys(named[:2200], 1)}, ANN, 1, {}, "")
    found["a long name"] = _event("m.room.name", {"name": "<b>" * (size // 3)}, ANN, 1, {}, "")
    return found


def dumped(value: Any) -> bytes:
    """Write JSON as a careless sender does. What Python cannot write becomes something equally deep that it can."""
    try:
        return json.dumps(value).encode()
    except RecursionError:
        return b"[" * 3000 + b"]" * 3000


def loaded(data: bytes) -> Any:
    """Read the value in a file of the corpus or in a fuzzer's input. Raises `ValueError`."""
    try:
        return json.loads(data.decode("utf-8", "surrogatepass"))
    except RecursionError:
        raise ValueError("nested too deeply for this reader") from None
