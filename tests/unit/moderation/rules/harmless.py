"""Ten thousand harmless sentences in ten languages, to count what rules find in them by mistake.

Nobody wrote them. They are generated here, always the same, from common words that were chosen for this purpose, and
separated as people do in chats: by commas, hyphens, line breaks, emoji, apostrophes, stretched words. So they are
harder than real talk for rules that look inside words, and do not show how people really talk. Pieces of the terms
that are not words themselves are not among them. In addition there are sentences that people did write: the help texts
of Python, which every installation has (`people_wrote`).
"""

import random
import re
from collections.abc import Iterator
from pydoc_data.topics import topics

EACH = 1_000  # sentences of a language

WORDS = {
    "English": "the a we you they garden club meets on friday and brings something that grows well in shade tomorrow "
    "weather seems better letter committee address still will all need bookkeeping coffee tree bread super "
    "supper dinner diner later latter desert dessert planning planing form former bid bidder den for a now "
    "here nowhere therapist analyst assassin classic grass cockpit shuttle title hello address lottery ticket "
    "pen is it can not cannot over time overtime re sign resign pass word password sex tuplet essex penistone "
    "scunthorpe arsenal constitution",
    "German": "der die das wir ihr garten verein trifft sich am freitag und jeder bringt etwas mit "
    "kaffee kuchen wetter "
    "morgen vielleicht schifffahrt schwimmbad essen messer wasser grüße straße bitte danke unterricht betrieb "
    "verbot bot suche besuch loch marsch flasche knoblauch hasse strasse klasse masse spiel bank auto bahn "
    "hof",
    "French": "le la les nous vous jardin club se réunit vendredi et chacun apporte quelque chose qui pousse bien à "
    "l'ombre aujourd'hui peut être c'est qu'il demain café fenêtre élève con cours concours arme arnica aux "
    "reste bonne année belle salle pomme terre homme femme assez passer message",
    "Spanish": "el la los nosotros jardín club se reúne el viernes y cada uno trae algo que crece bien en la sombra "
    "mañana calle lluvia perro carro tierra estación esta fa fácil idioma idiomas mier coles merienda cabra "
    "once leer creer lección acción gallo ella llave año niño",
    "Italian": "il la noi voi giardino circolo si riunisce venerdì e ognuno porta qualcosa che cresce bene all'ombra "
    "domani caffè perché città pizza tutto mattina notte gatto palla cavallo capello cappello sera serra "
    "truffle tru fatto strano stro zona cassa casa sono sonno nono nonno l'acqua dell'anno un'ora",
    "Portuguese": "o a nós vocês jardim clube reúne se na sexta e cada um traz algo que cresce bem "
    "na sombra amanhã café "
    "coração irmão pássaro terra carro passar gol pela merenda mercado idade ideia cara lho passo massa posso "
    "guarda chuva segunda feira fim de semana",
    "Russian": "мы вы они сад клуб встречается в пятницу и каждый приносит что то что хорошо растёт "
    "в тени завтра погода "
    "кажется лучше обещание обмен человек как иногда дура кабель рак длинный ванна касса масса группа суббота "
    "программа искусство осень рассказ кое кто нибудь",
    "Chinese": "我们 你们 他 花园 俱乐部 星期五 见面 每个人 都 带 一些 东西 明天 天气 好像 更好 咖啡 "
    "面包 网站 打开 下载 微信 入 群 赌 气 博 物馆 开 发 票 代表 发票 站 起来 谢谢 今天 吃 "
    "饭 了 吗",
    "Arabic": "نحن أنتم هم حديقة نادي يجتمع يوم الجمعة وكل واحد يحضر شيئا ينمو جيدا في الظل غدا الطقس يبدو أفضل رسالة "
    "قهوة خبز ممر نوع احتياج مال قم قمر كتاب مدرسة شكرا مرحبا السلام عليكم",
    "Turkish": "biz siz onlar bahçe kulüp cuma günü buluşur ve herkes gölgede iyi büyüyen bir şey getirir yarın hava "
    "daha iyi görünüyor saat dakika kum kumaş arkadaş bah bahar iş işte dolan dolap ışık ağaç elli ikinci "
    "dikkat millet cadde hissetmek",
}
UNSPACED = {"Chinese"}
BETWEEN = [" "] * 14 + [", ", " - ", "-", "\n", " 😀 ", "😀", "... ", ". ", "/", " (", ") ", "'", "_", ": ", " \n", "!"]
LISTED = (
    "forbidden casino viagra lottery-win bitcoin idiot moron bastard scammer therapists nazis "
    "password bidder verboten arschloch betrüger wichser hasser connard arnaque putain estafa "
    "cabrones idiota mierda stronzo truffa merda cazzone golpes caralho дурак обманщик казино "
    "сволочь 赌博网站 加微信 代开发票 ممنوعة احتيال قمارات kumarhane dolandırıcı bahisçi buy-now free-money "
    " click-here"
)
TERMS = LISTED.split()


def sentences() -> Iterator[tuple[str, str]]:
    """Yield (language, sentence), always the same."""
    for language, listed in WORDS.items():
        choose = random.Random(language)
        words = [word for word in listed.split() if word not in TERMS]
        for _ in range(EACH):
            yield language, _sentence(choose, words, language in UNSPACED)


def _sentence(choose: random.Random, words: list[str], unspaced: bool) -> str:
    parts: list[str] = []
    for _ in range(choose.randint(3, 14)):
        word = choose.choice(words)
        if choose.random() < 0.03:
            place = choose.randrange(len(word))
            word = word[:place] + word[place] * choose.randint(2, 5) + word[place + 1 :]
        if choose.random() < 0.1:
            word = choose.choice((word.upper(), word.capitalize(), f"{word}{choose.randint(1, 2030)}"))
        between = choose.choice(BETWEEN)
        parts += [word, "" if unspaced and between == " " else between]
    return "".join(parts).strip()


def people_wrote() -> list[str]:
    """Return sentences of Python's own help texts."""
    text = "\n\n".join(topics[name] for name in sorted(topics))
    return [line for line in re.split(r"(?<=[.:])\s+|\n\n+", text) if len(line) > 20]
