"""The values that the configuration accepts, and its errors for others."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic_core import to_json

from bot.config.config import Config, FileSettings, default_origin, load_config, parse_config
from bot.config.errors import ConfigError
from bot.config.oidc import OidcSettings
from bot.config.toml_lines import line_at, lines_of
from moderation.policy import CaseSettings, CreditSettings, Policy, TierSettings, VerificationSettings
from moderation.rules.base import StrictSettings
from moderation.rules.registry import KINDS
from moderation.values.durations import HOUR_MS
from moderation.values.ids import UserId

EXAMPLE = Path(__file__).parents[4] / "config.example.toml"
HEAD = '[homeserver]\nurl = "https://matrix.example.org"\nuser = "@answerable:example.org"\n'


@pytest.fixture(autouse=True)
def _english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSWERABLE_LANG", "en")


def read(text: str, environ: dict[str, str] | None = None, folder: Path = Path("/nowhere")) -> Config:
    return parse_config(folder / "config.toml", text, environ or {})


def problems(text: str) -> list[tuple[int | None, str, str]]:
    """Return (line, place, text key) of every problem."""
    with pytest.raises(ConfigError) as caught:
        read(text)
    return [(p.line, ".".join(map(str, p.place)), p.key) for p in caught.value.problems]


def message(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(text)
    return str(caught.value)


class TestAccepted:
    def test_two_settings_suffice(self) -> None:
        config = read(HEAD)
        assert config.policy == Policy()
        assert config.data_dir == Path("/nowhere/data")
        assert config.bot.allow_invites == ()

    def test_the_data_directory_is_relative_to_the_file_unless_absolute(self) -> None:
        assert read(f'{HEAD}[bot]\ndata_dir = "../x"').data_dir == Path("/nowhere/../x")
        assert read(f'{HEAD}[bot]\ndata_dir = "/srv/x"').data_dir == Path("/srv/x")

    def test_operators_are_part_of_the_policy(self) -> None:
        assert read(f'{HEAD}[bot]\noperators = ["@anna:example.org"]').policy.operators == ("@anna:example.org",)

    def test_the_origin_is_made_from_the_account_unless_set(self) -> None:
        assert read(HEAD).origin == "example.org/answerable"
        assert read(f'{HEAD}[records]\norigin = "logs.example.org/a"').origin == "logs.example.org/a"
        assert default_origin(UserId("@a+b c:example.org:8448")) == "example.org:8448/a-b-c"

    def test_the_time_zone_is_utc_unless_set_and_spelt_as_it_should_be(self) -> None:
        assert read(HEAD).bot.timezone == "UTC"
        assert read(f'{HEAD}[bot]\ntimezone = "europe/berlin"').bot.timezone == "Europe/Berlin"

    def test_a_byte_order_mark_is_no_obstacle(self, tmp_path: Path) -> None:
        file = tmp_path / "config.toml"
        file.write_bytes(b"\xef\xbb\xbf" + HEAD.encode())
        assert load_config(file, {}).file == file


def _tables(settings: StrictSettings, *place: str) -> Iterator[tuple[tuple[str, ...], StrictSettings]]:
    """Yield every table of settings below these, with its place."""
    for name in type(settings).model_fields:
        if isinstance(value := getattr(settings, name), StrictSettings):
            yield (*place, name), value
            yield from _tables(value, *place, name)


class TestATableGivenInPart:
    @pytest.mark.parametrize(
        ("place", "table"), [pytest.param(*each, id=".".join(each[0])) for each in _tables(Policy())]
    )
    def test_keeps_its_other_defaults(self, place: tuple[str, ...], table: StrictSettings) -> None:
        for name, value in table:
            part: object = {name: value}
            for each in reversed(place):
                part = {each: part}
            assert Policy.model_validate_json(to_json(part)) == Policy(), (place, name)

    def test_takes_what_it_is_given(self) -> None:
        deadlines = read(f'{HEAD}[cases.deadlines]\nserious = "2h"').policy.cases.deadlines
        assert (deadlines.serious, deadlines.severe) == (2 * HOUR_MS, Policy().cases.deadlines.severe)

    def test_is_read_for_unknown_keys(self) -> None:
        assert problems(f'{HEAD}[cases.deadlines]\ngrave = "2h"') == [(5, "cases.deadlines.grave", "unknown.none")]


class TestSecrets:
    def test_secrets_come_from_env_next_to_the_file_and_the_environment_wins(self, tmp_path: Path) -> None:
        (tmp_path / ".env").write_text(
            "ANSWERABLE_PASSWORD='pa$HOME'\nANSWERABLE_ACCESS_TOKEN=stored\nANSWERABLE_DEVICE_ID=DEV\n"
        )
        secrets = read(HEAD, {"ANSWERABLE_ACCESS_TOKEN": "real"}, tmp_path).secrets
        assert secrets.password is not None
        assert secrets.password.get_secret_value() == "pa$HOME"
        assert secrets.access_token is not None
        assert secrets.access_token.get_secret_value() == "real"
        assert secrets.device_id == "DEV"

    def test_an_empty_value_counts_as_unset(self) -> None:
        assert read(HEAD, {"ANSWERABLE_PASSWORD": ""}).secrets.password is None

    def test_no_representation_shows_them(self) -> None:
        config = read(HEAD, {"ANSWERABLE_PASSWORD": "hunter2", "ANSWERABLE_ACCESS_TOKEN": "syt_x"})
        for shown in (repr(config), str(config), config.model_dump_json()):
            assert "hunter2" not in shown
            assert "syt_x" not in shown

    def test_in_the_file_they_are_refused_and_not_repeated(self) -> None:
        text = f'{HEAD}password = "hunter2"\n'
        assert problems(text) == [(4, "homeserver.password", "unknown.secret")]
        assert "hunter2" not in message(text)


class TestProblems:
    def test_an_unknown_key_is_named_with_its_line_and_the_nearest(self) -> None:
        said = message(f"{HEAD}[bot]\n\nprefx = '!'\n")
        assert "line 6, bot.prefx" in said
        assert "Did you mean prefix?" in said

    def test_a_key_in_the_wrong_table_is_sent_to_the_right_one(self) -> None:
        assert "belongs in [records]" in message(f'{HEAD}[bot]\ncontent = "full"\n')
        assert "belongs in [[rules]]" in message(f"{HEAD}[bot]\nwhole_words = true\n")

    def test_all_are_told_at_once_in_the_order_of_the_file(self) -> None:
        text = f"""{HEAD}
[bot]
operators = [
    "@anna:example.org",
    "bob",
]
language = "fr"
[records]
retention = "30d"
content = 5
[tiers]
a = 50
mute_for = 3
"""
        assert problems(text) == [
            (8, "bot.operators.1", "expected.user_id"),
            (10, "bot.language", "expected.one_of"),
            (12, "records.retention", "retention_floor"),
            (13, "records.content", "expected.one_of"),
            (16, "tiers.mute_for", "expected.duration"),
        ]

    def test_the_floor_of_retention_is_given_with_its_reason(self) -> None:
        said = message(f'{HEAD}[records]\nretention = "30d"\n')
        assert "at least 183 days, because people can appeal" in said
        assert '"30d"' in said

    def test_nothing_outlives_the_records_it_rests_on(self) -> None:
        text = f'{HEAD}[credit]\nexpires_after = "1w"\n[cases]\nappeal_within = "300d"\n'
        assert problems(text) == [(7, "cases.appeal_within", "outlives_records")]

    def test_an_unknown_time_zone_is_named_with_suggestions(self) -> None:
        text = f'{HEAD}[bot]\ntimezone = "Berlin"\n'
        assert problems(text) == [(5, "bot.timezone", "expected.timezone_near")]
        assert 'found "Berlin". Did you mean Europe/Berlin?' in message(text)
        assert problems(f'{HEAD}[bot]\ntimezone = "+01:00"\n') == [(5, "bot.timezone", "expected.timezone")]

    def test_the_nearest_value_is_named(self) -> None:
        assert "Did you mean full?" in message(f'{HEAD}[records]\ncontent = "ful"\n')

    @pytest.mark.parametrize(
        ("line", "key"),
        [
            ("retention = 190", "expected.duration"),
            ("retention = 1979-05-27", "expected.duration"),
            ('retention = "soon"', "expected.duration"),
            ("content = true", "expected.one_of"),
            ('origin = "a b"', "expected.origin"),
        ],
    )
    def test_a_wrong_value_says_what_is_expected(self, line: str, key: str) -> None:
        assert problems(f"{HEAD}[records]\n{line}\n") == [(5, f"records.{line.partition(' ')[0]}", key)]

    @pytest.mark.parametrize(
        ("line", "key"),
        [
            ('start = "100"', "expected.number"),
            ("start = 1.5", "expected.number"),
            ("start = true", "expected.number"),
            ("first_minor_is_warning = 1", "expected.yes_no"),
            ("costs = 3", "expected.table"),
            ("start = 101", "order"),
            ("start = -1", "expected.at_least"),
            ("costs = {minor = 9, moderate = 3, serious = 9, severe = 9}", "order"),
            ("further_percent = 50", "expected.at_least"),
        ],
    )
    def test_a_number_is_a_number(self, line: str, key: str) -> None:
        assert problems(f"{HEAD}[credit]\n{line}\n") == [(5, f"credit.{line.partition(' ')[0]}", key)]

    def test_tiers_are_in_order_and_within_credit(self) -> None:
        text = f"{HEAD}[tiers]\na = 120\nb = 60\nc = 60\nmanage_from = 101\n"
        assert problems(text) == [
            (5, "tiers.a", "order"),
            (7, "tiers.c", "order"),
            (8, "tiers.manage_from", "order"),
        ]

    def test_an_unreadable_value_is_not_compared(self) -> None:
        assert problems(f'{HEAD}[tiers]\na = "x"\nb = 90\n') == [(5, "tiers.a", "expected.number")]

    def test_a_missing_table_is_named(self) -> None:
        assert problems("[bot]\n") == [(None, "homeserver", "missing")]

    def test_a_key_written_like_the_field_in_the_code_is_unknown(self) -> None:
        text = f'{HEAD}[[rules]]\nname = "a"\nkind = "flood"\ngrade = "minor"\n'
        assert problems(text) == [(7, "rules.0.grade", "unknown.none")]


class TestRules:
    def test_a_name_belongs_to_one_rule(self) -> None:
        rule = '[[rules]]\nname = "a"\nkind = "flood"\n'
        assert problems(HEAD + rule + rule) == [(8, "rules.1.name", "name_twice")]

    def test_the_nearest_kind_is_named(self) -> None:
        text = f'{HEAD}[[rules]]\nname = "a"\nkind = "flod"\n'
        assert problems(text) == [(6, "rules.0.kind", "expected.one_of_near")]
        assert 'rules."a".kind' in message(text)

    def test_a_kind_is_needed(self) -> None:
        assert problems(f'{HEAD}[[rules]]\nname = "a"\n') == [(4, "rules.0", "kind_missing")]

    def test_an_interim_measure_needs_a_manager_to_wait_for(self) -> None:
        text = f'{HEAD}[[rules]]\nname = "a"\nkind = "flood"\ninterim = "mute"\n'
        assert problems(text) == [(7, "rules.0.interim", "interim_without_manager")]

    def test_a_bad_pattern_is_named_with_its_own_line(self) -> None:
        text = f"{HEAD}[[rules]]\nname = 'a'\nkind = 'pattern'\npatterns = [\n  'fine',\n  '(',\n]\n"
        assert problems(text) == [(9, "rules.0.patterns.1", "expected.pattern_group_open")]

    def test_an_invisible_term_is_refused(self) -> None:
        text = f'{HEAD}[[rules]]\nname = "a"\nkind = "terms"\nterms = ["\\u200b"]\n'
        assert problems(text) == [(7, "rules.0.terms.0", "expected.term")]

    def test_places_languages_and_rooms_are_checked(self) -> None:
        text = f"""{HEAD}[[rules]]
name = "a"
kind = "flood"
where = ["bdy"]
rooms = ["kitchen"]
text.fr = "non"
"""
        assert problems(text) == [
            (7, "rules.0.where.0", "expected.one_of_near"),
            (8, "rules.0.rooms.0", "expected.room"),
            (9, "rules.0.text.fr", "expected.one_of"),
        ]

    def test_a_rule_holds_in_communities_by_name_and_nowhere_by_alias(self) -> None:
        club = '[[communities.named]]\nname = "club"\nrooms = ["G-7F3K"]\n'
        rule = "[[rules]]\nname = 'a'\nkind = 'flood'\nrooms = ['club', '#club:example.org']\n"
        assert problems(HEAD + club + rule) == [(10, "rules.0.rooms.1", "expected.room")]
        assert problems(HEAD + rule)[0] == (7, "rules.0.rooms.0", "expected.room")

    def test_one_bad_rule_does_not_hide_another(self) -> None:
        rules = "[[rules]]\nname = 'a'\nkind = 'flood'\nmesages = 3\n[[rules]]\nname = 'B'\nkind = 'media'\n"
        assert problems(HEAD + rules) == [
            (7, "rules.0.mesages", "unknown.near"),
            (9, "rules.1.name", "expected.rule_name"),
        ]


class TestFile:
    def test_a_missing_file_leads_to_init(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="answerable init"):
            load_config(tmp_path / "config.toml", {})

    def test_a_folder_in_its_place_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="cannot be read"):
            load_config(tmp_path, {})

    def test_broken_toml_is_told_with_the_line(self) -> None:
        assert problems('a = "x\n') == [(1, "", "syntax.quote")]
        assert problems("[bot]\nprefix\n") == [(2, "", "syntax.equals")]
        assert problems("[bot]\nprefix = !\n") == [(2, "", "syntax.value")]
        assert problems("[bot]\n[bot]\n") == [(2, "", "syntax.table_twice")]
        assert problems("a = [1,\n") == [(None, "", "syntax.end")]

    def test_toml_that_python_cannot_read_is_reported(self) -> None:
        assert problems(f"a = {'9' * 5000}\n") == [(None, "", "syntax.number")]
        assert problems(f"a = {'[' * 3000}{']' * 3000}\n") == [(None, "", "syntax.deep")]

    def test_bytes_that_are_not_utf8_are_told_with_the_line(self, tmp_path: Path) -> None:
        file = tmp_path / "config.toml"
        file.write_bytes(b"[bot]\nprefix = '\xff'\n")
        with pytest.raises(ConfigError, match="line 2"):
            load_config(file, {})

    def test_the_same_is_said_in_chinese(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ANSWERABLE_LANG", "zh")
        assert "第 5 行" in message(f"{HEAD}[bot]\nprefx = '!'\n")


class TestExample:
    def test_it_can_be_used_and_stands_at_the_defaults(self) -> None:
        config = load_config(EXAMPLE, {})
        bare = read(HEAD)
        assert (config.credit, config.tiers) == (CreditSettings(), TierSettings())
        assert (config.cases, config.verification) == (CaseSettings(), VerificationSettings())
        assert config.records == bare.records
        assert config.bot.model_copy(update={"operators": (), "allow_invites": ()}) == bare.bot

    def test_it_shows_every_kind_of_rule(self) -> None:
        assert {rule.kind for rule in load_config(EXAMPLE, {}).rules} == set(KINDS)

    def test_it_mentions_every_setting(self) -> None:
        text = EXAMPLE.read_text("utf-8")
        written = set(re.findall(r"^(?:# )?([a-z_0-9]+) =", text, re.MULTILINE))
        written |= set(re.findall(r"[{,] ([a-z]+) =", text))
        written |= set(re.findall(r"^(?:# )?\[+(?:[a-z]+\.)?([a-z_]+)\]", text, re.MULTILINE))
        assert _keys(*KINDS.values(), FileSettings, OidcSettings) - written == set()


def _keys(*models: type[BaseModel]) -> set[str]:
    keys: set[str] = set()
    for model in models:
        for name, info in model.model_fields.items():
            keys.add(info.alias or name)
            if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
                keys |= _keys(info.annotation)
    return keys


class TestLines:
    TEXT = '''# a comment [not.a.table]
top = """
[inside.a.string]
x = 1
"""
[a]
"quoted key" = {in.line = 1, list = [1, 2]}
b.c = [ # [
    "x]", 'y"',

    {z = 1},
]
[[rules]]
name = "one"
[rules.text]
en = "x"
[[rules]]
text.zh = "y"
'''

    @pytest.mark.parametrize(
        ("place", "line"),
        [
            (("top",), 2),
            (("a",), 6),
            (("a", "quoted key", "in", "line"), 7),
            (("a", "quoted key", "list", 1), 7),
            (("a", "b", "c", 1), 9),
            (("a", "b", "c", 2, "z"), 11),
            (("rules", 0), 13),
            (("rules", 0, "text", "en"), 16),
            (("rules", 1, "text", "zh"), 18),
            (("rules", 1, "name"), 17),
            (("inside",), None),
        ],
    )
    def test_a_place_is_found(self, place: tuple[str | int, ...], line: int | None) -> None:
        assert line_at(lines_of(self.TEXT), place) == line

    @given(st.text(st.characters(exclude_categories=["Cs", "Cc"])), st.text(alphabet="a\"'\\[]{}#=,\n "))
    def test_no_string_confuses_the_scanner(self, name: str, value: str) -> None:
        text = f"{_quoted(name)} = [{_quoted(value)}]\n\nlast = 1\n"
        assert lines_of(text)[("last",)] == 3


def _quoted(text: str) -> str:
    """Return a text as a basic string of TOML."""
    return json.dumps(text, ensure_ascii=False)
