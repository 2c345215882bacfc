"""Inclusion proofs for the chosen records: one for each (C2SP tlog-proof), or one for all at once.

Rules kept here:
- Hashes are read from the tiles, so a proof costs a few small files however long the log is.
- The tree is that of one signed checkpoint.
- For many records the proof is ``proofs/tree.txt``: the hashes, from left to right, of the largest ranges in which no
  record was chosen. `verify.py` reads and describes it.

Left to others: paths and roots (`storage/journal/transparency/proof.py`), which records (`choose.py`), signing
(`storage/journal/journal.py`).
"""

from binascii import b2a_base64
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from pathlib import Path

from moderation.values.errors import Broken
from storage.journal.transparency.proof import Prover
from storage.journal.transparency.tiles import NoTile, Tiles
from storage.journal.transparency.tlog_proof import SUFFIX, TlogProof

from .bundle import Bundle
from .verify import TREE, TREE_TITLE

MAX_SINGLE = 1_000  # other programs can read a proof each; for more records one proof of all is far smaller


def add_proofs(bundle: Bundle, folder: Path, chosen: Sequence[int], size: int, note: str) -> None:
    """Prove the chosen records (in order) by the signed checkpoint `note` over `size`. Raises `Broken`."""
    prover = Prover(Tiles(folder / "tile"))
    try:
        if len(chosen) <= MAX_SINGLE:
            for index in chosen:
                proof = TlogProof(index, tuple(prover.inclusion(index, size)), note)
                bundle.add(f"proofs/{index}{SUFFIX}", proof.text.encode())
        else:
            with bundle.file(TREE) as file:
                file.write(f"{TREE_TITLE}\n".encode())
                for digest in gaps(prover, chosen, 0, size, size):
                    file.write(b2a_base64(digest))
    except NoTile as error:
        raise Broken(
            f"tile/{error} is missing or too short; `answerable logs verify` says more, and the bot makes it again "
            "when it starts"
        ) from error


def gaps(prover: Prover, chosen: Sequence[int], start: int, end: int, size: int) -> Iterator[bytes]:
    """Yield the hashes that a checker needs besides the chosen leaves, from left to right. Raises `NoTile`."""
    at = bisect_left(chosen, start)
    if at == len(chosen) or chosen[at] >= end:
        yield prover.root(start, end, size)
    elif end - start > 1:
        middle = start + (1 << ((end - start - 1).bit_length() - 1))  # RFC 6962, 2.1
        yield from gaps(prover, chosen, start, middle, size)
        yield from gaps(prover, chosen, middle, end, size)
