"""What programs that we did not write read in a transcript (webvtt-py) or an MP3 (mutagen), as JSON.

Usage: transcript.py vtt FILE | transcript.py mp3 FILE
"""

import html
import json
import sys


def vtt(path):
    import webvtt

    def milliseconds(time):
        hours, minutes, seconds = time.split(":")
        return (int(hours) * 60 + int(minutes)) * 60_000 + int(seconds.replace(".", ""))

    cues = webvtt.read(path).captions
    return {"cues": [[milliseconds(cue.start), milliseconds(cue.end), html.unescape(cue.text)] for cue in cues]}


def mp3(path):
    from mutagen.mp3 import MP3

    audio = MP3(path)
    chapters = [audio.tags[f"CHAP:{name}"] for name in audio.tags["CTOC:toc"].child_element_ids]
    return {
        "length_ms": round(audio.info.length * 1000),
        "language": audio.tags["TLAN"].text[0],
        "lyrics": audio.tags.getall("USLT")[0].text,
        "chapters": [[it.start_time, it.end_time, it.sub_frames["TIT2"].text[0]] for it in chapters],
    }


print(json.dumps({"vtt": vtt, "mp3": mp3}[sys.argv[1]](sys.argv[2])))
