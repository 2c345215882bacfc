"""Joint checkpoints: their text and tree, and that nothing in one can be altered, moved or left out unseen."""

import base64
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.values.errors import Invalid
from storage.journal.transparency.checkpoint import Checkpoint, open_checkpoint
from storage.journal.transparency.joint_checkpoint import JointCheckpoint, countersigned, is_joint, open_joint
from storage.journal.transparency.signed_note import Signer, signature_line, split_note

BASE, DAY = "example.org/answerable", "2026-11-24"
NAMES = ("four", "one", "three", "two")  # in the order of names
SIGNERS = {name: Signer.generate(f"{BASE}/{name}") for name in NAMES}
VERIFIERS = [signer.verifier for signer in SIGNERS.values()]

sizes = st.integers(1, 2**53 - 1)
roots = st.binary(min_size=32, max_size=32)


def closing(name: str, size: int = 7, root: bytes = bytes(32)) -> Checkpoint:
    return Checkpoint(f"{BASE}/{name}", size, root)


@st.composite
def joints(draw: st.DrawFn, least: int = 1) -> JointCheckpoint:
    """Draw the joint checkpoint of some shards, in which others may be missing."""
    named = draw(st.lists(st.sampled_from(NAMES), min_size=least, max_size=len(NAMES), unique=True))
    missing = [name for name in NAMES if name not in named and draw(st.booleans())]
    return JointCheckpoint.of(BASE, DAY, [closing(name, draw(sizes), draw(roots)) for name in named], missing)


def lines_of(joint: JointCheckpoint) -> list[str]:
    return joint.text.splitlines()


def is_taken(lines: Sequence[str]) -> bool:
    try:
        JointCheckpoint.parse("".join(f"{line}\n" for line in lines))
    except Invalid:
        return False
    return True


def test_its_text_is_a_checkpoint_whose_root_anybody_can_compute_from_it() -> None:
    joint = JointCheckpoint.of(BASE, DAY, [closing("two", 9, bytes([2]) * 32), closing("one", 5, bytes(32))], ["three"])
    leaves = [f"{BASE}/one\n5\n{'A' * 43}=\n", f"{BASE}/two\n9\n{base64.b64encode(bytes([2]) * 32).decode()}\n"]
    hashes = [hashlib.sha256(b"\0" + leaf.encode()).digest() for leaf in leaves]
    root = base64.b64encode(hashlib.sha256(b"\1" + hashes[0] + hashes[1]).digest()).decode()
    assert lines_of(joint) == [
        f"{BASE}/all-shards/{DAY}",
        "2",
        root,
        f"closing one 5 {'A' * 43}=",
        f"closing two 9 {base64.b64encode(bytes([2]) * 32).decode()}",
        "without three",
    ]
    assert Checkpoint.parse(joint.text) == Checkpoint(f"{BASE}/all-shards/{DAY}", 2, joint.root)
    assert joint.root_text == root


@pytest.mark.parametrize("file", ["docs/scale.md", "storage/journal/transparency/joint_checkpoint.py"])
def test_the_examples_are_true(file: str) -> None:
    text = (Path(__file__).parents[5] / file).read_text("utf-8")
    example = re.search(r"( *)example.org/answerable/all-shards/.*?without three\n", text, re.DOTALL)
    assert example
    assert is_taken([line.removeprefix(example[1]) for line in example[0].splitlines()])


@given(joints())
def test_it_reads_what_it_writes(joint: JointCheckpoint) -> None:
    assert JointCheckpoint.parse(joint.text) == joint


@given(joints(), st.data())
def test_an_altered_leaf_is_found(joint: JointCheckpoint, data: st.DataObject) -> None:
    lines = lines_of(joint)
    at = data.draw(st.integers(3, 2 + len(joint.closings)))
    other = closing(lines[at].split()[1], data.draw(sizes), data.draw(roots))
    lines[at] = f"closing {other.origin.rpartition('/')[2]} {other.size} {base64.b64encode(other.root).decode()}"
    assert is_taken(lines) == (lines == lines_of(joint))


@given(joints(least=2), st.data())
def test_another_order_is_found(joint: JointCheckpoint, data: st.DataObject) -> None:
    lines = lines_of(joint)
    leaves = data.draw(st.permutations(lines[3 : 3 + len(joint.closings)]))
    assert is_taken([*lines[:3], *leaves, *joint_tail(joint)]) == (leaves == lines[3 : 3 + len(joint.closings)])


def joint_tail(joint: JointCheckpoint) -> list[str]:
    return lines_of(joint)[3 + len(joint.closings) :]


@given(joints(least=2), st.data())
def test_a_leaf_that_is_left_out_or_stands_twice_is_found(joint: JointCheckpoint, data: st.DataObject) -> None:
    lines = lines_of(joint)
    at = data.draw(st.integers(3, 2 + len(joint.closings)))
    assert not is_taken(lines[:at] + lines[at + 1 :])
    assert not is_taken([*lines[: at + 1], *lines[at:]])


@given(joints(), st.data())
def test_any_altered_character_is_found(joint: JointCheckpoint, data: st.DataObject) -> None:
    """The root covers closings and their order, the signature also which shards have none."""
    note = countersigned(joint, SIGNERS[joint.name_of(joint.closings[0])])
    at = data.draw(st.integers(0, len(joint.text) - 1))
    altered = note[:at] + data.draw(st.characters(codec="utf-8")) + note[at + 1 :]
    if altered == note:
        assert open_joint(altered, VERIFIERS) == joint
        return
    with pytest.raises(Invalid):
        open_joint(altered, VERIFIERS)


@given(joints())
def test_only_logs_that_it_covers_can_sign(joint: JointCheckpoint) -> None:
    stranger, namesake = Signer.generate("example.org/other/one"), Signer.generate(joint.closings[0].origin)
    for signer in (*SIGNERS.values(), stranger):
        if joint.closing_of(signer.name) is None:
            with pytest.raises(Invalid, match="does not cover"):
                countersigned(joint, signer)
            with pytest.raises(Invalid, match="none of its signatures"):
                open_joint(signer.sign(joint.text), [*VERIFIERS, stranger.verifier])
        else:
            assert open_joint(countersigned(joint, signer), VERIFIERS) == joint
    with pytest.raises(Invalid, match="none of its signatures"):
        open_joint(countersigned(joint, namesake), VERIFIERS)


def test_a_countersignature_is_added_once_and_all_have_to_hold() -> None:
    joint = JointCheckpoint.of(BASE, DAY, [closing("one"), closing("two")], [])
    note = countersigned(joint, SIGNERS["one"])
    foreign = signature_line("example.org/stranger", bytes(700))
    both = countersigned(joint, SIGNERS["two"], note + foreign, VERIFIERS)
    assert [name for name, _ in split_note(both)[1]] == [f"{BASE}/one", f"{BASE}/two"]
    assert countersigned(joint, SIGNERS["two"], both, VERIFIERS) == both
    for name in ("one", "two"):
        assert open_joint(both, [SIGNERS[name].verifier]) == joint
    other = JointCheckpoint.of(BASE, DAY, [closing("one"), closing("two", 8)], [])
    bad = note + countersigned(other, SIGNERS["two"]).rpartition("\n\n")[2]
    assert open_joint(bad, [SIGNERS["one"].verifier]) == joint
    with pytest.raises(Invalid, match="does not hold"):
        open_joint(bad, VERIFIERS)


def test_it_never_passes_for_the_checkpoint_of_a_log() -> None:
    joint = JointCheckpoint.of(BASE, DAY, [closing("one")], [])
    note = countersigned(joint, SIGNERS["one"])
    assert is_joint(note)
    with pytest.raises(Invalid, match="of the log"):
        open_checkpoint(note, VERIFIERS)
    own = closing("one").signed(SIGNERS["one"])
    assert not is_joint(own)
    with pytest.raises(Invalid):
        open_joint(own, VERIFIERS)


def test_a_log_of_another_deployment_is_none_of_it() -> None:
    for given_ in ([], [Checkpoint("example.net/answerable/one", 7, bytes(32))]):
        with pytest.raises(Invalid):
            JointCheckpoint.of(BASE, DAY, given_, [])


def test_a_shard_cannot_be_missing_and_not() -> None:
    joint = JointCheckpoint.of(BASE, DAY, [closing("one")], ["one"])
    assert not is_taken(lines_of(joint))


@pytest.mark.parametrize(
    "text",
    [
        f"{BASE}/all-shards/{DAY}\n0\n{base64.b64encode(hashlib.sha256().digest()).decode()}\n",  # of nothing
        f"{BASE}\n1\n{'A' * 43}=\nclosing one 5 {'A' * 43}=\n",
        f"{BASE}/all-shards/yesterday\n1\n{'A' * 43}=\nclosing one 5 {'A' * 43}=\n",
        "",
    ],
)
def test_what_is_none_is_refused(text: str) -> None:
    assert not is_taken(text.splitlines())
