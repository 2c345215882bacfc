"""Proofs hold for records in the log and nothing else; the reference is a literal version of RFC 6962."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.values.errors import Invalid
from storage.journal.merkle import Tree, leaf_hash
from storage.journal.transparency.proof import Prover, climb
from storage.journal.transparency.signed_note import Signer
from storage.journal.transparency.tiles import NoTile, Tiles
from storage.journal.transparency.tlog_proof import TlogProof, disclose, prove
from tests.proofs import NotProved, check_record, verify_consistency, verify_inclusion

NOON, DAY_MS = 1_795_521_600_000, 86_400_000
LEAVES = [leaf_hash(str(number).encode()) for number in range(66_000)]
SIZES = [1, 2, 3, 5, 8, 13, 100, 255, 256, 257, 511, 512, 700]


@pytest.fixture(scope="module")
def prover(tmp_path_factory: pytest.TempPathFactory) -> Prover:
    """Provide a log that was signed at each of `SIZES`, and at 66,000."""
    tiles, tree = Tiles(tmp_path_factory.mktemp("tiles")), Tree()
    for size in [*SIZES, 65_536, 66_000]:
        tree.extend(LEAVES[tree.size : size])
        tiles.write(tree)
    return Prover(tiles)


def path(index: int, leaves: Sequence[bytes], root: Any) -> list[bytes]:
    """Return the path of RFC 6962, 2.1.1."""
    if len(leaves) == 1:
        return []
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if index < split:
        return [*path(index, leaves[:split], root), root(leaves[split:])]
    return [*path(index - split, leaves[split:], root), root(leaves[:split])]


def sub_proof(old: int, leaves: Sequence[bytes], known: bool, root: Any) -> list[bytes]:
    """Return the subproof of RFC 6962, 2.1.2."""
    if old == len(leaves):
        return [] if known else [root(leaves)]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if old <= split:
        return [*sub_proof(old, leaves[:split], known, root), root(leaves[split:])]
    return [*sub_proof(old - split, leaves[split:], False, root), root(leaves[:split])]


@given(st.sampled_from(SIZES), st.data())
def test_inclusion_is_that_of_the_rfc(prover: Prover, tools: Any, size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    proof = prover.inclusion(index, size)
    root = tools.naive_root(LEAVES[:size])
    assert proof == path(index, LEAVES[:size], tools.naive_root)
    assert verify_inclusion(LEAVES[index], index, size, proof, root)
    other = data.draw(st.integers(0, size))
    assert other == index or not verify_inclusion(LEAVES[index], other, size, proof, root)
    assert not verify_inclusion(LEAVES[index + 1], index, size, proof, root)
    assert not verify_inclusion(LEAVES[index], index, size, [*proof, root], root)
    for at in range(len(proof)):
        assert not verify_inclusion(LEAVES[index], index, size, proof[:at] + proof[at + 1 :], root)
        assert not verify_inclusion(LEAVES[index], index, size, [*proof[:at], LEAVES[-1], *proof[at + 1 :]], root)


def test_a_path_with_sides_and_ranges_leads_from_every_leaf_to_the_root(tmp_path: Path) -> None:
    tiles, tree = Tiles(tmp_path), Tree()
    for size in range(1, 301):
        tree.extend(LEAVES[size - 1 : size])
        tiles.write(tree)
        prover, root = Prover(tiles), tree.root()
        for index in range(size):
            steps = prover.path(index, size)
            assert climb(LEAVES[index], steps)[-1] == root
            start, stop = index, index + 1
            for step in steps:  # each continues what is joined already, on the side that it names
                assert (step.stop, "left") == (start, step.side) or (step.start, "right") == (stop, step.side)
                start, stop = min(start, step.start), max(stop, step.stop)
            assert (start, stop) == (0, size)


@given(st.sampled_from(SIZES), st.sampled_from(SIZES))
def test_consistency_is_that_of_the_rfc(prover: Prover, tools: Any, one: int, other: int) -> None:
    old, new = sorted((one, other))
    proof = prover.consistency(old, new)
    before, after = tools.naive_root(LEAVES[:old]), tools.naive_root(LEAVES[:new])
    assert proof == ([] if old == new else sub_proof(old, LEAVES[:new], True, tools.naive_root))
    assert verify_consistency(old, new, proof, before, after)
    assert not verify_consistency(old, new, [*proof, before], before, after)
    assert not verify_consistency(old, new, proof, LEAVES[-1], after)
    assert not verify_consistency(old, new, proof, before, LEAVES[-1])
    for at in range(len(proof)):
        assert not verify_consistency(old, new, [*proof[:at], LEAVES[-1], *proof[at + 1 :]], before, after)


def test_a_large_tree_with_three_levels_of_tiles(prover: Prover) -> None:
    root = prover.root(0, 66_000, 66_000)
    for index in (0, 255, 256, 65_535, 65_536, 65_999):
        proof = prover.inclusion(index, 66_000)
        assert verify_inclusion(LEAVES[index], index, 66_000, proof, root)
        assert len(proof) <= 17
    assert verify_consistency(700, 66_000, prover.consistency(700, 66_000), prover.root(0, 700, 700), root)


@pytest.mark.parametrize(("index", "size"), [(-1, 5), (5, 5), (0, 0)])
def test_a_leaf_outside_the_tree_has_no_proof(prover: Prover, index: int, size: int) -> None:
    with pytest.raises(Invalid):
        prover.inclusion(index, size)
    with pytest.raises(Invalid):
        prover.consistency(size + 1, size)
    assert not verify_inclusion(LEAVES[0], index, size, [], LEAVES[0])


def test_a_size_that_was_never_signed(prover: Prover) -> None:
    with pytest.raises(NoTile):
        prover.inclusion(0, 65_999)


# Proof files


@pytest.fixture(scope="module")
def proved(new_place: Any, tools: Any) -> Any:
    """Provide the line of record 300 of a closed day, with two parts, its proof file, and the key."""
    place = new_place()
    with place.open() as journal:
        journal.append([tools.message()] * 299 + [tools.two_parts()])
        journal.append([tools.message(at_ms=NOON + DAY_MS)] * 300)
        line = orjson.dumps(journal_line(journal, 300))
        journal.close(NOON)
        text = journal.proof(300)
        return line, text, journal.vkey, place.folder


def journal_line(journal: Any, index: int) -> Any:
    opened = journal._log.line(index)
    return {**opened.skeleton, "x": opened.parts}


def test_a_proof_file_has_the_form_of_the_specification(proved: Any) -> None:
    _, text, _, folder = proved
    head, _, note = text.partition("\n\n")
    header, index, *hashes = head.split("\n")
    assert (header, index, len(hashes)) == ("c2sp.org/tlog-proof@v1", "index 300", 10)
    assert all(len(base64.b64decode(line, validate=True)) == 32 for line in hashes)
    assert note == (folder / "checkpoint").read_text()
    assert TlogProof.parse(text).text == text
    assert prove(folder, 300) == text


def test_the_form_with_extra_data() -> None:
    proof = TlogProof(5, (b"1" * 32,), "the checkpoint\n", b"extra information")
    assert proof.text.split("\n")[:3] == ["c2sp.org/tlog-proof@v1", "extra ZXh0cmEgaW5mb3JtYXRpb24=", "index 5"]
    assert TlogProof.parse(proof.text) == proof
    alone = TlogProof(0, (), "the checkpoint\n")
    assert alone.text == "c2sp.org/tlog-proof@v1\nindex 0\n\nthe checkpoint\n"
    assert TlogProof.parse(alone.text) == alone


@pytest.mark.parametrize("places", [[0, 1], [0], [1], []])
def test_a_record_is_proved_with_the_parts_that_are_shown(proved: Any, places: list[int]) -> None:
    line, text, vkey, _ = proved
    shown = disclose(line + b"\n", places)
    found = check_record(shown, text, vkey)
    parts = json.loads(line)["x"]
    assert found.parts == tuple(part if place in places else None for place, part in enumerate(parts))
    assert (found.index, found.checkpoint.size, found.skeleton["k"]) == (300, 601, "leave")


def test_an_erased_part_counts_as_not_shown(proved: Any) -> None:
    line, text, vkey, _ = proved
    record = json.loads(line)
    record["x"][0] = {"erased": "2026-12-01", "by": 900}
    assert check_record(orjson.dumps(record), text, vkey).parts == (None, record["x"][1])


OTHER = Signer.generate("example.org/log").verifier.text


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("part", lambda line, text, vkey: (line.replace(b"two", b"too"), text, vkey)),
        ("inclusion", lambda line, text, vkey: (line.replace(b'"leave"', b'"join"', 1), text, vkey)),
        ("inclusion", lambda line, text, vkey: (line, text.replace("index 300", "index 301"), vkey)),
        ("inclusion", lambda line, text, vkey: (line, remove_line(text, 4), vkey)),
        ("line", lambda line, text, vkey: (b"{}", text, vkey)),
        ("line", lambda line, text, vkey: (b" " + line, text, vkey)),
        ("key", lambda line, text, vkey: (line, text, vkey[:-5])),
        ("signature", lambda line, text, vkey: (line, text, OTHER)),
        ("signature", lambda line, text, vkey: (line, text.replace("\n601\n", "\n602\n"), vkey)),
        ("signature", lambda line, text, vkey: (line, text.partition("\n\n")[0] + "\n\n", vkey)),
        ("proof", lambda line, text, vkey: (line, text.replace("@v1", "@v2"), vkey)),
        ("proof", lambda line, text, vkey: (line, text.replace("index 300", "index 0300"), vkey)),
        ("proof", lambda line, text, vkey: (line, text.replace("index 300\n", ""), vkey)),
        ("proof", lambda line, text, vkey: (line, text.replace("index 300\n", "index 300\nAAAA\n"), vkey)),
        ("proof", lambda line, text, vkey: (line, text.replace("index 300\n", "extra ?\nindex 300\n"), vkey)),
        ("proof", lambda line, text, vkey: (line, "", vkey)),
    ],
)
def test_an_invalid_proof_is_explained(proved: Any, code: str, change: Any) -> None:
    line, text, vkey, _ = proved
    with pytest.raises(NotProved) as caught:
        check_record(*change(line, text, vkey))
    assert caught.value.code == code


def remove_line(text: str, number: int) -> str:
    lines = text.split("\n")
    return "\n".join(lines[:number] + lines[number + 1 :])


@given(st.data())
def test_any_text_is_refused_or_proves_the_record(proved: Any, data: st.DataObject) -> None:
    line, text, vkey, _ = proved
    at = data.draw(st.integers(0, len(text) - 1))
    changed = text[:at] + data.draw(st.text(max_size=3)) + text[data.draw(st.integers(at, len(text))) :]
    try:
        assert check_record(line, changed, vkey).index == 300
    except NotProved:
        assert changed != text


def test_a_proof_of_what_is_not_signed_yet_signs_it(place: Any, tools: Any) -> None:
    with place.open() as journal:
        journal.append([tools.message()])
        text = journal.proof(1)
        assert text.endswith(journal.signed_checkpoint)
        assert "\n2\n" in journal.signed_checkpoint
        journal.append([tools.message()])
        assert journal.proof(1) == text  # the newest checkpoint will do
        with pytest.raises(Invalid, match="no record 3"):
            journal.proof(3)
