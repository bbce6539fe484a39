"""The English voice. `serve.py` lets it speak."""

FIRST_WORDS = "Ready."
PARAGRAPH_PAUSE_SECONDS = 0.62
SENTENCE_PAUSE_SECONDS = 0.12


def load():
    from hibari import SAMPLE_RATE, Hibari

    voice = Hibari(threads=1)

    def sentences(paragraph, speed):
        return voice.stream(paragraph, speed=speed, seed=0)

    return SAMPLE_RATE, sentences
