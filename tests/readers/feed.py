"""Reads a private feed as podcast apps do, with programs that are not ours.

feed.py URL EXPECTED, where EXPECTED is JSON: language, title, guid, and of each item title, guid, url, length,
duration, date (seconds since 1970), script. Ends with an error at the first difference.
"""

import calendar
import io
import json
import sys
import urllib.request
import xml.etree.ElementTree as ElementTree
from email.utils import parsedate_to_datetime

import feedparser
import podcastparser

SPACES = {
    "atom": "http://www.w3.org/2005/Atom",
    "content": "http://purl.org/rss/1.0/modules/content/",
    "itunes": "http://www.itunes.com/dtds/podcast-1.0.dtd",
    "podcast": "https://podcastindex.org/namespace/1.0",
}


def same(what, got, wanted):
    if got != wanted:
        sys.exit(f"{what}: {got!r} instead of {wanted!r}")


def read_by_feedparser(text, expected):
    read = feedparser.parse(text, sanitize_html=False)
    same("feedparser's complaint", read.bozo and str(read.bozo_exception), False)
    same("version", read.version, "rss20")
    same("title", read.feed.title, expected["title"])
    same("language", read.feed.language, expected["language"])
    same("category", [tag.term for tag in read.feed.tags], ["Education"])
    same("image", read.feed.image.href, expected["cover"])
    same("number of items", len(read.entries), len(expected["items"]))
    for entry, item in zip(read.entries, expected["items"]):
        same("title", entry.title, item["title"])
        same("guid", entry.id, item["guid"])
        same("guid is an address", entry.guidislink, False)
        same("date", calendar.timegm(entry.published_parsed), item["date"])
        same("duration", entry.itunes_duration, str(item["duration"]))
        sound = [(sound.href, sound.length, sound.type) for sound in entry.enclosures]
        same("enclosure", sound, [(item["url"], str(item["length"]), "audio/mpeg")])


def read_by_podcastparser(url, text, expected):
    read = podcastparser.parse(url, io.BytesIO(text))
    same("title", read["title"], expected["title"])
    same("type", read["type"], "episodic")
    same("cover", read["cover_url"], expected["cover"])
    same("number of items", len(read["episodes"]), len(expected["items"]))
    for episode, item in zip(read["episodes"], expected["items"]):
        same("title", episode["title"], item["title"])
        same("guid", episode["guid"], item["guid"])
        same("date", episode["published"], item["date"])
        same("duration", episode["total_time"], item["duration"])
        sound = [(sound["url"], sound["file_size"], sound["mime_type"]) for sound in episode["enclosures"]]
        same("enclosure", sound, [(item["url"], item["length"], "audio/mpeg")])


def read_by_element_tree(url, text, expected):
    channel = ElementTree.fromstring(text).find("channel")

    def only(element, path):
        found = element.findall(path, SPACES)
        same(f"number of {path}", len(found), 1)
        return found[0]

    for path, wanted in {
        "podcast:guid": expected["guid"],
        "podcast:locked": "yes",
        "podcast:block": "yes",
        "podcast:medium": "podcast",
        "itunes:block": "yes",
        "itunes:explicit": "false",
        "itunes:type": "episodic",
    }.items():
        same(path, only(channel, path).text, wanted)
    same("podcast:locked of somebody", only(channel, "podcast:locked").attrib, {})
    same("frequency", only(channel, "podcast:updateFrequency").get("rrule"), "FREQ=DAILY")
    for person in ["itunes:owner", "podcast:person", "managingEditor", "webMaster"]:
        same(person, channel.findall(f".//{person}", SPACES), [])
    itself = only(channel, "atom:link")
    same("itself", (itself.get("rel"), itself.get("href")), ("self", url))
    parsedate_to_datetime(only(channel, "lastBuildDate").text)
    for item, wanted in zip(channel.findall("item"), expected["items"]):
        base = wanted["url"].removesuffix(".mp3")
        words = {"url": f"{base}.vtt", "type": "text/vtt", "language": wanted["language"]}
        same("transcript", only(item, "podcast:transcript").attrib, words)
        chapters = {"url": f"{base}/chapters.json", "type": "application/json+chapters"}
        same("chapters", only(item, "podcast:chapters").attrib, chapters)
        same("episode type", only(item, "itunes:episodeType").text, "full")
        same("explicit", only(item, "itunes:explicit").text, "false")
        html = ElementTree.fromstring(f"<body>{only(item, 'content:encoded').text}</body>")
        same("script", [paragraph.text for paragraph in html.findall("p")], wanted["script"])
        same("beginning of the description", only(item, "description").text.split("\n")[0], wanted["topic"])


def main():
    url, expected = sys.argv[1], json.loads(sys.argv[2])
    with urllib.request.urlopen(url, timeout=60) as answer:
        same("media type", answer.headers["Content-Type"], "application/rss+xml; charset=utf-8")
        text = answer.read()
    read_by_feedparser(text, expected)
    read_by_podcastparser(url, text, expected)
    read_by_element_tree(url, text, expected)


main()
