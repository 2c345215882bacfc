"""`answerable report`: a notice from outside, typed in or read from a mail."""

import io
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest

from storage.database.place import FILE
from tests.unit.bot.cli.conftest import Answerable


@pytest.fixture(autouse=True)
def _deployment(data_dir: Path) -> None:
    assert data_dir.exists()


def rows(data_dir: Path, sql: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(data_dir / FILE) as database:
        return database.execute(sql).fetchall()


def mailed(answerable: Answerable, monkeypatch: pytest.MonkeyPatch, mail: str) -> Any:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(mail.encode())))
    return answerable("report", "--mail")


def test_a_notice_about_a_room_is_a_case_for_its_managers(answerable: Answerable, data_dir: Path) -> None:
    done = answerable("report", "they sell my address", "--room", "g-7f3k", "--contact", "Ann, 1 High St", "--json")
    assert done.json == {"n": 4, "room": "G-7F3K"}
    assert rows(data_dir, "SELECT rule, subject, state, due > 0 FROM cases WHERE n = 4") == [
        ("outside_notice", "", "open", 1)
    ]
    assert rows(data_dir, 'SELECT reason, contact, channel, "by" FROM reports WHERE n = 4') == [
        ("they sell my address", "Ann, 1 High St", "operator", "")
    ]
    shown = answerable("logs", "show", "--kind", "report", "--reason", "audit", "--json").out
    assert "they sell my address" in shown and "1 High St" in shown


def test_without_words_or_a_room_it_says_what_is_missing(answerable: Answerable) -> None:
    assert "what the notice is about" in answerable("report").err
    assert "names no room" in answerable("report", "help").err


def test_a_mail_becomes_a_case_and_its_sender_can_be_answered(
    answerable: Answerable, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = mailed(answerable, monkeypatch, "From: Ann <ann@example.org>\nTo: report+G-7F3K@x.example\n\nMy address!")
    assert (done.code, "case 4" in done.out) == (0, True)
    assert rows(data_dir, "SELECT reason, contact, channel FROM reports WHERE n = 4") == [
        ("My address!", "Ann <ann@example.org>", "mail")
    ]


@pytest.mark.parametrize("mail", ["From: a@b.example\nSubject: G-9999\n\nno such room", "From: a@b.example\n\n"])
def test_an_unusable_mail_is_returned(
    answerable: Answerable, data_dir: Path, monkeypatch: pytest.MonkeyPatch, mail: str
) -> None:
    assert mailed(answerable, monkeypatch, mail).code == 65
    assert rows(data_dir, "SELECT count(*) FROM cases") == [(3,)]


def test_a_room_takes_ten_notices_a_day_and_later_mails_are_deferred(
    answerable: Answerable, data_dir: Path, monkeypatch: pytest.MonkeyPatch, config_file: Path
) -> None:
    config_file.write_text(config_file.read_text() + "[reports]\noutside_a_day = 2\n")
    mail = "From: a@b.example\nSubject: G-7F3K\n\nagain"
    assert [mailed(answerable, monkeypatch, mail).code for _ in range(3)] == [0, 0, 75]
    assert rows(data_dir, "SELECT count(*) FROM cases WHERE rule = 'outside_notice'") == [(2,)]
