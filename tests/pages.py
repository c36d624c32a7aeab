"""Reading the pages that the report writes."""

import re
from html.parser import HTMLParser


class WellFormed(HTMLParser):
    """Every element that was opened is closed."""

    def __init__(self):
        super().__init__()
        self.open, self.texts = [], []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_data(self, data):
        self.texts.append(data)


def stands_alone(text):
    """The page, which has no script, nothing from a network, and every element closed."""
    assert "<script" not in text
    assert not re.search(r"https?:|src=|<link|@import|url\((?!#)|xlink|<\?xml", text)
    page = WellFormed()
    page.feed(re.sub(r"<meta([^>]*)>", r"<meta\1/>", text.replace("<!doctype html>", "")))
    assert page.open == []
    return text
