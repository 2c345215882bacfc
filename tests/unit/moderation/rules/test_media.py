"""A file is judged by its sender's description of it."""

import pytest
from pydantic import ValidationError

from moderation.rules.check import Hit, View
from moderation.rules.media import MediaCheck, MediaSettings, parse_size
from moderation.values.events import Media as Attached
from tests.unit.moderation.rules.posting import named, posted


def check(*attached: Attached, **options: object) -> Hit | None:
    return MediaCheck(MediaSettings.model_validate(options)).check(posted("x", media=attached), View())


PICTURE = Attached("image", "image/png", 2_000_000)


def test_nothing_is_limited_by_default() -> None:
    assert check(PICTURE) is None
    assert check(kinds=[]) is None
    assert MediaCheck(MediaSettings(kinds=())).check(named("x"), View()) is None


def test_kinds_are_those_allowed() -> None:
    assert check(PICTURE, kinds=["image"]) is None
    assert check(PICTURE, kinds=["file"]) == Hit()
    assert check(PICTURE, kinds=[]) == Hit()


@pytest.mark.parametrize(
    ("mimetype", "fine"),
    [("image/png", True), ("Image/JPEG; q=1", True), ("text/plain", True), ("text/html", False), ("imag", False)],
)
def test_types_are_compared_as_globs(mimetype: str, fine: bool) -> None:
    hit = check(Attached("file", mimetype, 1), mimetypes=["image/*", "TEXT/plain"])
    assert hit == (None if fine else Hit())


def test_size_has_a_limit() -> None:
    assert check(PICTURE, max_size="2MB") is None
    assert check(PICTURE, max_size=1_999_999) == Hit(numbers={"size": 2_000_000, "limit": 1_999_999})


def test_undeclared_sizes_and_types_follow_the_setting() -> None:
    silent = Attached("file")
    assert check(silent, max_size=10, mimetypes=["image/*"]) is None
    assert check(silent, max_size=10, unknown_size="deny") == Hit(numbers={"limit": 10})
    assert check(Attached("file", size=-1), max_size=10, unknown_size="deny") == Hit(numbers={"limit": 10})
    assert check(silent, mimetypes=["image/*"], unknown_type="deny") == Hit()


def test_a_location_is_no_file() -> None:
    options = {"max_size": 10, "mimetypes": ["image/*"], "unknown_size": "deny", "unknown_type": "deny"}
    assert check(Attached("location"), **options) is None
    assert check(Attached("location"), kinds=["image"]) == Hit()


def test_each_file_of_a_message_is_looked_at() -> None:
    assert check(Attached("image"), Attached("video"), kinds=["image"]) == Hit()
    assert check(Attached("image"), PICTURE, max_size="1MB") == Hit(numbers={"size": 2_000_000, "limit": 1_000_000})
    assert check(Attached("image"), Attached("image"), kinds=["image"]) is None


def test_the_number_of_files_has_a_limit() -> None:
    assert check(PICTURE, PICTURE, max_files=2) is None
    assert check(PICTURE, PICTURE, PICTURE, max_files=2) == Hit(numbers={"count": 3, "limit": 2})
    assert check(PICTURE, Attached("preview"), Attached("avatar"), max_files=1) is None


def test_what_stands_for_something_else_was_not_posted() -> None:
    assert check(Attached("preview"), Attached("avatar"), kinds=[]) is None


def test_a_voice_message_is_told_from_other_sound_and_allowed_with_it() -> None:
    assert check(Attached("voice"), kinds=["audio"]) is None
    assert check(Attached("voice"), kinds=["voice"]) is None
    assert check(Attached("audio"), kinds=["voice"]) == Hit()
    assert check(Attached("voice"), kinds=["image"]) == Hit()


@pytest.mark.parametrize(
    ("text", "size"),
    [("10MB", 10_000_000), ("10 mib", 10_485_760), ("500", 500), ("1GB", 10**9), (" 7 kb ", 7_000), ("3b", 3)],
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "bad", [{"max_size": "big"}, {"max_size": "1.5MB"}, {"max_size": 0}, {"mimetypes": ["png"]}, {"kinds": ["gif"]}]
)
def test_settings_that_make_no_sense_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=r"expected|greater than|Input should be"):
        MediaSettings.model_validate(bad)
