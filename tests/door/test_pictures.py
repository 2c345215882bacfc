"""The story that the pictures of the documentation show can still be played; only Chromium is left out."""

from pathlib import Path

from tests.pictures import FOLDER, play


async def test_the_story_of_the_pictures_can_be_played(tmp_path: Path) -> None:
    shown = await play(tmp_path)
    assert {f"{name}.png" for name in shown} == {file.name for file in FOLDER.glob("*.png")}
    (card, has_taps), (notice, _) = shown["card"], shown["member"]
    assert has_taps
    assert "<strong>buy now</strong>" in card
    assert "@ann:example.org" in card
    assert "!appeal 1" in notice
    assert "localhost" not in card + notice
