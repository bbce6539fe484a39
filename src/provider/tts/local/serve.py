"""Lets a voice speak for dailycast: one request a line on stdin, samples on stdout, until stdin ends.

A request is a JSON object {"text": "...", "speed": 0.92}. An answer is a line with a JSON object,
{"samples": n} followed by n little-endian 16-bit mono samples at 24 kHz, or {"error": "..."}.
The first line, {"ready": true} or {"error": "..."}, tells whether the voice could be loaded.

What sets the voice apart stands in front of this in the same program: its two pauses, the words it
is tried with, and `load`, which gives its sample rate and a function that speaks the sentences of a
paragraph one by one.
"""

import json
import sys


def answer(header, samples=b""):
    sys.stdout.buffer.write(json.dumps(header).encode() + b"\n" + samples)
    sys.stdout.buffer.flush()


def loaded():
    import numpy

    rate, sentences = load()

    def silence(seconds):
        return numpy.zeros(int(seconds * rate), numpy.float32)

    def speak(text, speed):
        parts = []
        for paragraph in filter(str.strip, text.split("\n\n")):
            for sentence in sentences(paragraph, speed):
                parts += [sentence, silence(SENTENCE_PAUSE_SECONDS)]
            parts.append(silence(PARAGRAPH_PAUSE_SECONDS - SENTENCE_PAUSE_SECONDS))
        whole = numpy.concatenate(parts) if parts else silence(0)
        return (numpy.clip(whole, -1, 1) * 32767).astype("<i2")

    speak(FIRST_WORDS, 1.0)
    return speak


def main():
    try:
        speak = loaded()
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
