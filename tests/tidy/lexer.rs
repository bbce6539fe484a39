//! Just enough of Rust's grammar to tell code from comments and literals.

/// A Rust source, taken apart. `code` and `comments` are the text with everything else replaced by
/// spaces, so that a place is the same in all three.
pub struct Source {
    /// From the root of the house, with `/`.
    pub path: String,
    pub text: String,
    /// Without comments and without what is in literals.
    pub code: String,
    /// The comments alone.
    pub comments: String,
    pub literals: Vec<Literal>,
}

/// A string literal.
pub struct Literal {
    /// Where it begins.
    pub at: usize,
    /// What stands between the quotes, as written.
    pub text: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Comment,
    /// A string literal with this many bytes before and after its text.
    Literal(usize, usize),
    Char,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        let mut source = Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code: String::with_capacity(text.len()),
            comments: String::with_capacity(text.len()),
            literals: Vec::new(),
        };
        let mut at = 0;
        while at < text.len() {
            let is_in_word = text[..at].ends_with(is_of_word);
            let (kind, length) = token(&text[at..], is_in_word);
            let token = &text[at..at + length];
            source.code.push_str(&if kind == Kind::Code { token.to_owned() } else { blank(token) });
            source.comments.push_str(&if kind == Kind::Comment { token.to_owned() } else { blank(token) });
            if let Kind::Literal(before, after) = kind {
                source.literals.push(Literal { at, text: token[before..length - after].to_owned() });
            }
            at += length;
        }
        source
    }

    /// The line of a place, from 1.
    pub fn line(&self, at: usize) -> usize {
        1 + self.text[..at].matches('\n').count()
    }

    /// A sentence about a place.
    pub fn says(&self, at: usize, what: impl std::fmt::Display) -> String {
        format!("{}:{}: {what}", self.path, self.line(at))
    }

    /// The words of the code and where they begin.
    pub fn words(&self) -> impl Iterator<Item = (usize, &str)> {
        words(&self.code)
    }
}

/// Names and keywords, with where they begin.
pub fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let pieces = code.split(|letter| !is_of_word(letter));
    pieces.filter(|word| !word.is_empty()).map(move |word| (word.as_ptr() as usize - code.as_ptr() as usize, word))
}

pub fn is_of_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// The same number of bytes and the same lines.
fn blank(token: &str) -> String {
    token.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect()
}

/// What the text begins with, and its length.
fn token(text: &str, is_in_word: bool) -> (Kind, usize) {
    if text.starts_with("//") {
        return (Kind::Comment, text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return (Kind::Comment, block_comment(text));
    }
    if let Some(hashes) = raw_string(text).filter(|_| !is_in_word) {
        let before = text.find('"').map_or(0, |quote| quote + 1);
        let end = format!("\"{}", "#".repeat(hashes));
        let length = text[before..].find(&end).map_or(text.len(), |found| before + found + end.len());
        return (Kind::Literal(before, end.len()), length);
    }
    if text.starts_with('"') {
        return (Kind::Literal(1, 1), quoted(text, '"'));
    }
    let letter = text.chars().next().map_or(1, char::len_utf8);
    let is_char = text.starts_with("'\\")
        || text.starts_with('\'') && text[1..].chars().nth(1) == Some('\'') && !text.starts_with("''");
    if is_char { (Kind::Char, quoted(text, '\'')) } else { (Kind::Code, letter) }
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    for (at, _) in text.char_indices() {
        if text[at..].starts_with("/*") {
            depth += 1;
        } else if text[..at].ends_with("*/") {
            depth -= 1;
            if depth == 0 {
                return at;
            }
        }
    }
    text.len()
}

/// The number of `#` of a raw string that begins here.
fn raw_string(text: &str) -> Option<usize> {
    let hashes = text.strip_prefix(['b', 'c']).unwrap_or(text).strip_prefix('r')?;
    let quote = hashes.trim_start_matches('#');
    quote.starts_with('"').then(|| hashes.len() - quote.len())
}

/// The length of a literal with backslashes.
fn quoted(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            _ if letter == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[test]
fn code_comments_and_literals_are_told_apart() {
    let text = r##"/* a /* nested */ one */ fn f<'a>(x: &'a str) -> char { // end "of" line
        g("a \" // b", br#"c " d"#, '"', '\'', b'x', "é"); r#type
    }"##;
    let source = Source::new("x.rs", text);
    assert_eq!((source.code.len(), source.comments.len()), (text.len(), text.len()));
    let literals: Vec<&str> = source.literals.iter().map(|literal| literal.text.as_str()).collect();
    assert_eq!(literals, [r#"a \" // b"#, r#"c " d"#, "é"]);
    let words: Vec<&str> = source.words().map(|(_, word)| word).collect();
    assert_eq!(words, ["fn", "f", "a", "x", "a", "str", "char", "g", "b", "r", "type"]);
    let comments: Vec<&str> = words_of(&source.comments);
    assert_eq!(comments, ["a", "nested", "one", "end", "of", "line"]);
    assert_eq!(source.line(source.literals[2].at), 2);
}

fn words_of(text: &str) -> Vec<&str> {
    words(text).map(|(_, word)| word).collect()
}
