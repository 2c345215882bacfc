"""The sixty-four pictures with which two people compare what their devices have agreed on.

Order, pictures and English names are the specification's, since every client shows the same.
Left to others: the translated names (`crypto.emoji.*` of the message files; the Chinese ones are those that clients
show).

Specification: client-server API v1.19, "SAS method: `emoji`".
"""

_TABLE = """
🐶 dog  🐱 cat  🦁 lion  🐎 horse  🦄 unicorn  🐷 pig  🐘 elephant  🐰 rabbit
🐼 panda  🐓 rooster  🐧 penguin  🐢 turtle  🐟 fish  🐙 octopus  🦋 butterfly  🌷 flower
🌳 tree  🌵 cactus  🍄 mushroom  🌏 globe  🌙 moon  ☁️ cloud  🔥 fire  🍌 banana
🍎 apple  🍓 strawberry  🌽 corn  🍕 pizza  🎂 cake  ❤️ heart  😀 smiley  🤖 robot
🎩 hat  👓 glasses  🔧 spanner  🎅 santa  👍 thumbs-up  ☂️ umbrella  ⌛ hourglass  ⏰ clock
🎁 gift  💡 light-bulb  📕 book  ✏️ pencil  📎 paperclip  ✂️ scissors  🔒 lock  🔑 key
🔨 hammer  ☎️ telephone  🏁 flag  🚂 train  🚲 bicycle  ✈️ aeroplane  🚀 rocket  🏆 trophy
⚽ ball  🎸 guitar  🎺 trumpet  🔔 bell  ⚓ anchor  🎧 headphones  📁 folder  📌 pin
"""
_CELLS = _TABLE.split()
EMOJI: tuple[tuple[str, str], ...] = tuple(zip(_CELLS[::2], _CELLS[1::2], strict=True))
