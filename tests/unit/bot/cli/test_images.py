"""`answerable images hash`: what it prints is a list that a rule reads."""

import hashlib
from pathlib import Path

from bot.config.config import parse_config
from bot.effects.picture_hash import pdq_of
from moderation.rules.images import ImagesRule
from tests.unit.bot.cli.conftest import HEAD, Answerable
from tests.unit.bot.effects.pictures import picture, written

DATA = written(picture(1, 160, 120))
(HASH,) = pdq_of(DATA)


def test_hashes_of_pictures_are_printed_as_a_list(answerable: Answerable, tmp_path: Path) -> None:
    one, text = tmp_path / "one.png", tmp_path / "text.txt"
    one.write_bytes(DATA)
    text.write_text("no picture")
    done = answerable("images", "hash", str(one))
    assert (done.code, done.out) == (0, f"{HASH}  # {one}\n")
    (tmp_path / "bad.pdq").write_text(done.out)
    rules = '[[rules]]\nname = "known"\nkind = "images"\nhashes = "bad.pdq"\n'
    (rule,) = parse_config(tmp_path / "config.toml", HEAD + rules, {}).rules
    assert isinstance(rule, ImagesRule)
    assert rule.hashes == (HASH,)
    done = answerable("images", "hash", str(one), str(text), "--json")
    assert done.code == 1
    assert done.json == [
        {"file": str(one), "sha256": hashlib.sha256(DATA).hexdigest(), "hashes": [HASH]},
        {"file": str(text), "sha256": hashlib.sha256(b"no picture").hexdigest(), "hashes": []},
    ]
    assert str(text) in done.err
    done = answerable("images", "hash", "--sha256", str(text))
    assert (done.code, done.out) == (0, f"{hashlib.sha256(b'no picture').hexdigest()}  # {text}\n")
