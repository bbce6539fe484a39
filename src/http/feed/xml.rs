//! Well-formed XML of any text: what the standard forbids is left out, what has a meaning is escaped.

use std::fmt::Write as _;

/// A document that grows.
pub(super) struct Xml(String);

impl Xml {
    /// An empty document.
    pub fn new() -> Self {
        Self("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned())
    }

    /// Begins an element that has others in it.
    pub fn open(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.start(name, attributes);
        self.0.push_str(">\n");
    }

    /// Ends what [`Xml::open`] began.
    pub fn close(&mut self, name: &str) {
        // Writing to a text does not fail.
        _ = writeln!(self.0, "</{name}>");
    }

    /// An element with a text.
    pub fn text(&mut self, name: &str, attributes: &[(&str, &str)], text: &str) {
        self.start(name, attributes);
        self.0.push('>');
        escape(&mut self.0, text);
        _ = writeln!(self.0, "</{name}>");
    }

    /// An element with nothing in it.
    pub fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.start(name, attributes);
        self.0.push_str("/>\n");
    }

    fn start(&mut self, name: &str, attributes: &[(&str, &str)]) {
        _ = write!(self.0, "<{name}");
        for (attribute, value) in attributes {
            _ = write!(self.0, " {attribute}=\"");
            escape(&mut self.0, value);
            self.0.push('"');
        }
    }

    /// The document.
    pub fn end(self) -> String {
        self.0
    }
}

/// Adds a text, for elements and attributes alike, and for HTML too.
pub(super) fn escape(to: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => to.push_str("&amp;"),
            '<' => to.push_str("&lt;"),
            '>' => to.push_str("&gt;"),
            '"' => to.push_str("&quot;"),
            // A bare one would be read as a line's end.
            '\r' => to.push_str("&#13;"),
            '\t' | '\n' | '\u{20}'..='\u{FFFD}' | '\u{10000}'.. => to.push(character),
            _ => {}
        }
    }
}
