"""Letters that look like a Latin letter or a digit: our own selection from the data of UTS #39.

It began as the rows of Unicode's `confusables.txt` (as of January 2024) whose source is one letter and whose target is
ASCII, for the scripts that are really used to disguise Latin text. Taken out: what NFKC, case folding and the removal
of accents do anyway (UAX #15), targets of several letters that would merge different words (m as rn), and the letters
of scripts whose own words would suffer. Added by hand: small capitals, and the small letters of Greek and Cyrillic that
people read as their capital letter.

Rules kept here:
- Data only.
- A key of `LOOKS_LIKE` is lower-case ASCII.
- Every other character occurs once.

Left to others: which characters are folded when (`normalise_text.py`).

The selected data: Copyright (c) 1991-2024 Unicode, Inc., under the Unicode License v3 (SPDX-License-Identifier:
Unicode-3.0); its notice stands in `confusables.LICENSE`.
"""

LOOKS_LIKE = {
    "2": "ƻᒿꙄꝚ",
    "3": "ƷȜɜзҘӡⳌꝪ𑣊𖼻",
    "4": "Ꮞ𑢯",
    "5": "Ƽ𑢻",
    "6": "ᏮⳒ𑣕",
    "7": "𐓒𑣆",
    "8": "𐌚",
    "9": "ⳊꝮ𑣌𑣖",
    "a": "ɐɑαаᎪᗅᴀꓮ𐊠𖽀",
    "b": "ƀƃƄɓʙβбвьѣҍᏏᏴᑲᑳᖯᗷꓐꞴ𐊂𐊡𐌁",
    "c": "©ȼςсҫᏟᴄⲥꓚ𐊢𐌂𐐽𐔜",
    "d": "ÐđƌɖɗԁᎠᏧᑯᗞᗪᴅꓒꓓ",
    "e": "ǝɇəɛεеєҽҿәᎬᴇ℮ⴹꓰꬲ𐊆𑢦𑢮",
    "f": "ƒϜքᖴᵮẝꓝꜰꞙꬵ𐊇𐊥𐔥𑣂",
    "g": "ƍǥɠɡɢԌցᏀᏳᶃꓖ",
    "h": "ħɦʜΗнћҢһӈӊհᎻᏂᏲᕼⱧⲎꓧꚕ𐋏",
    "i": "ıɨɩɪιіӏᎥᵻᵼꙇ𑣃",
    "j": "ɉϳјᎫᒍᴊꓙꞲ",
    "k": "ĸƙκкқҟᏦᛕᴋⱩⲔꓗꝀ𐔘",
    "l": "łƖƗƚǀɫɭʟΙІӀᏞᒪᛁᣳⲒⳐⵏꓡꓲ𐊊𐌉𐐛𐔦𑢣𑢲𖼖𖼨",
    "m": "ɱΜϺмӍᎷᗰᛖᴍᵯⲘꓟꭑ𐊰𐌑",
    "n": "ƞɲɳɴΝηոռᵰⲚꓠ𐔓",
    "o": "øɵθοσоѳөօᎾᏫᴏᴑⲟⴱⵁⵔꓳꝋꬽꬾꭴ𐊒𐊫𐐬𐓪𐔖𑢵𑣈𑣗",
    "p": "ƥρрᏢᑭᣖᴘᵽ℗ⲣꓑ𐊕",
    "q": "ʠԛգզⵕꞯ",
    "r": "®ɍɼɽʀʁгғᎡᏒᖇᣴᴦᵲⲅꓣꭇꭈꮁ𐒴𖼵",
    "s": "ƽʂѕՏᏕᏚᣵᵴꓢꜱ𐊖𐑈𑣁𖼺",
    "t": "ŧƫƭƮȾτтҭᎢᴛᵵⲦꓔ𐊗𐊱𐌕𑢼𖼊",
    "u": "ɄʋμυսᏌᑌᴜᵾꓴꞟꭎꭒ𐓶𑣘𖽂",
    "v": "νѵᏙᐯᴠⴸꓦ𐔝𑣀𖼈",
    "w": "ɯωѡԝաᎳᏔᴡꓪꝡ",
    "x": "χхҳᕁᕽᚷⲬⵝꓫꞳ𐊐𐊴𐌗𐔧",
    "y": "ƴɏɣʏΥγуүұᎩᎽᶌỿⲨꓬꭚ𐊲𑢤𑣜𖽃",
    "z": "ƶȥʐζᏃᙆᴢᵶꓜ𑢩𑣄",
    "aa": "ꜳ",
    "ae": "æӕ",
    "ao": "ꜵ",
    "au": "ꜷ",
    "av": "ꜹꜻ",
    "ay": "ꜽ",
    "dz": "ʣ",
    "ll": "ǁ",
    "ls": "ʪ",
    "lz": "ʫ",
    "oe": "œ",
    "oo": "ꚙꝏ",
    "tf": "ꝷ",
    "ts": "ʦ",
    "ue": "ᵫ",
    "uo": "ꭣ",
}
