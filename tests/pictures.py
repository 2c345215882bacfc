"""Draw the pictures of the documentation: `python -m tests.pictures`, with Chromium installed.

A short story is played on the simulated homeserver, and the bot's own messages are shown as a client would show their
HTML. ANSWERABLE_CHROMIUM names the program if it is not `chromium`. No part of `make test`.
"""

import asyncio
import base64
import html
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from bot.texts.catalog import Catalog
from moderation.cases.card_reactions import OFFERED
from tests.fakes.homeserver import SimulatedHomeserver
from tests.people.client import Client, Seen
from tests.theatre.scene import Scene, Theatre, told
from tests.theatre.simulated import SimulatedAccounts
from tests.theatre.stage import Stage

HOUSE = Path(__file__).parents[1]
FOLDER = HOUSE / "docs" / "pictures"
AVATAR = HOUSE / "bot" / "matrix" / "picture.png"
CHROMIUM = os.environ.get("ANSWERABLE_CHROMIUM", "chromium")
WIDTH = 760
RULES = """
[[rules]]
name = "no-ads"
kind = "terms"
class = "serious"
decide = "manager"
interim = "redact"
terms = ["buy now"]
text = { en = "No advertising, please." }
"""
PAGE = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; padding: 14px; background: #fff; font: 15px/1.5 "DejaVu Sans", sans-serif; color: #1b1d22 }}
article {{ display: flex; gap: 12px }} img {{ width: 36px; height: 36px; border-radius: 50% }}
b.name {{ color: #0e7a6d; font-size: 14px }} a {{ color: #0b66c3; text-decoration: none; overflow-wrap: anywhere }}
code {{ background: #f0f1f4; padding: 1px 4px; border-radius: 4px; font-size: 13px }}
.taps span {{ display: inline-block; margin: 8px 6px 0 0; padding: 2px 10px; border: 1px solid #d5d8de;
  border-radius: 14px; background: #f6f7f9 }}
</style><article><img src="data:image/png;base64,{avatar}"><div><b class="name">Answerable</b><br>{message}{taps}
</div></article>"""


async def play(folder: Path) -> Mapping[str, tuple[str, bool]]:
    """Return the HTML of each picture's message, and whether reactions stand below it."""
    async with SimulatedHomeserver(name="localhost") as homeserver, Stage(SimulatedAccounts(homeserver)) as stage:
        theatre = Theatre(stage, folder)
        try:
            scene = await theatre.scene(RULES.strip())
            (manager,), (member,) = scene.managers, scene.members
            for person, name in ((scene.owner, "Olga"), (manager, "Mark"), (member, "Ann")):
                await _rename(person, name)
            named = await scene.owner.set_state(scene.room, "m.room.name", {"name": "Garden club"})
            await scene.bot.has(named)
            said = await member.send_text(scene.room, "Hello! My shop is open again, buy now and save a third.")
            await scene.bot.has(said)
            card = await scene.card(manager, 1)
            await manager.react(scene.desk, card.id, "✅")
            notice = await told(member, scene.bot, re.compile(r"!appeal 1"))
            return {"card": (_shown(card, scene), True), "member": (_shown(notice, scene), False)}
        finally:
            await theatre.close()


async def _rename(person: Client, name: str) -> None:
    await person.request("PUT", "profile", person.user, "displayname", json={"displayname": name})


def _shown(seen: Seen, scene: Scene) -> str:
    """Return the HTML of a message, with ids as people have them."""
    people = {scene.owner: "olga", scene.managers[0]: "mark", scene.members[0]: "ann"}
    shown = str(seen.content["formatted_body"])
    for person, name in people.items():
        shown = shown.replace(person.user, f"@{name}:example.org")
    return re.sub(r"(matrix\.to/#/![\w:.-]{6})[^\"<]*", r"\1…", shown)


def draw(name: str, message: str, *, taps: bool) -> None:
    """Draw one picture: once high, to see how high the message is, then as high as that."""
    offered = "".join(f"<span>{html.escape(key)} 1</span>" for key in OFFERED)
    avatar = base64.b64encode(AVATAR.read_bytes()).decode()
    below = f'<div class="taps">{offered}</div>' if taps else ""
    page = PAGE.format(avatar=avatar, message=message, taps=below)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "page.html"
        measured = '<script>document.title = document.querySelector("article").offsetHeight</script>'
        file.write_text(page + measured, "utf-8")
        found = re.search(r"<title>(\d+)</title>", _chromium(folder, "--dump-dom", f"file://{file}"))
        assert found is not None
        size = f"--window-size={WIDTH},{int(found[1]) + 28}"
        _chromium(folder, f"--screenshot={FOLDER / name}.png", size, f"file://{file}")


def _chromium(folder: str, *words: str) -> str:
    own = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={folder}/profile")
    done = subprocess.run([CHROMIUM, *own, f"--window-size={WIDTH},2000", *words], check=True, capture_output=True)
    return done.stdout.decode()


def main() -> None:
    """Play, and draw."""
    Catalog.load()
    FOLDER.mkdir(exist_ok=True)
    with TemporaryDirectory() as folder:
        pictures = asyncio.run(play(Path(folder)))
    for name, (message, taps) in pictures.items():
        draw(name, message, taps=taps)
        print(FOLDER / f"{name}.png")


if __name__ == "__main__":
    main()
