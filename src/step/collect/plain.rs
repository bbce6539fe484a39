//! From HTML, and from what people type, to plain text that can be said: one line, no tags, no
//! entities, no signs that only an eye understands.

use super::is_address;

/// The most characters of a raw text that are looked at.
const MAX_RAW: usize = 20_000;

/// Named entities and what they stand for: the five of XML, the letters of western Europe that
/// editors write by name, and signs of texts. The blanks are not in it.
const ENTITIES: &str = "amp & lt < gt > quot \" apos ' iexcl ¡ iquest ¿ laquo « raquo » ordf ª ordm º deg ° middot · \
    frac12 ½ frac14 ¼ frac34 ¾ sup2 ² sup3 ³ micro µ times × divide ÷ plusmn ± euro € pound £ yen ¥ sect § \
    Agrave À Aacute Á Acirc Â Atilde Ã Auml Ä Aring Å AElig Æ Ccedil Ç Egrave È Eacute É Ecirc Ê Euml Ë Igrave Ì \
    Iacute Í Icirc Î Iuml Ï Ntilde Ñ Ograve Ò Oacute Ó Ocirc Ô Otilde Õ Ouml Ö Oslash Ø OElig Œ Ugrave Ù Uacute Ú \
    Ucirc Û Uuml Ü Yacute Ý szlig ß agrave à aacute á acirc â atilde ã auml ä aring å aelig æ ccedil ç egrave è \
    eacute é ecirc ê euml ë igrave ì iacute í icirc î iuml ï ntilde ñ ograve ò oacute ó ocirc ô otilde õ ouml ö \
    oslash ø oelig œ ugrave ù uacute ú ucirc û uuml ü yacute ý yuml ÿ ndash – mdash — hellip … lsquo ‘ rsquo ’ \
    sbquo ‚ ldquo “ rdquo ” bdquo „";

/// The text without HTML, entities, control characters, emoji, addresses, rules and signs of markup, all
/// white space as single spaces. A gap to fill in is heard as a pause, and so are parentheses.
pub(super) fn plain(raw: &str) -> String {
    let bounded: String = raw.chars().take(MAX_RAW).collect();
    let decoded = decode_entities(&strip_tags(&bounded));
    let text = strip_tags(&decode_entities(&decoded));
    let text = unbracketed(&ungapped(&text.replace("{%", " ").replace("%}", " ")));
    let spoken: String = text.chars().filter(|letter| !is_silent(*letter)).map(spaced).collect();
    let is_rule = |word: &str| word.chars().count() > 2 && !word.chars().any(char::is_alphanumeric) && word != "...";
    let words = spoken.split_whitespace().filter(|word| !is_address(word) && !is_rule(word));
    words.collect::<Vec<_>>().join(" ")
}

/// `___`, which a learner is to fill in, becomes a pause.
fn ungapped(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("__") {
        let gap = rest[at..].len() - rest[at..].trim_start_matches('_').len();
        kept.push_str(&rest[..at]);
        rest = &rest[at + gap..];
        // Two are emphasis in Markdown.
        kept.push(if gap > 2 { '…' } else { ' ' });
    }
    kept + rest
}

/// What stands in parentheses is set off by commas, where it stands within a sentence.
fn unbracketed(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut comma = " ";
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '(' | '（' => {
                let was_word = kept.ends_with(char::is_alphanumeric);
                let before = kept.trim_end().chars().next_back();
                let continues = before.is_some_and(|before| before.is_alphanumeric() || before == '…');
                comma = match letter {
                    '（' if continues => "、",
                    // As in `f(x)`.
                    '(' if continues && !was_word => ", ",
                    _ => " ",
                };
                if comma != " " {
                    kept.truncate(kept.trim_end().len());
                }
                kept.push_str(comma);
            }
            ')' | '）' => {
                while letters.next_if(|next| next.is_whitespace()).is_some() {}
                let goes_on = letters.peek().is_some_and(|next| next.is_alphanumeric());
                kept.push_str(if goes_on { comma } else { "" });
            }
            other => kept.push(other),
        }
    }
    kept
}

/// Zero-width and bidirectional marks, emoji, and all controls that are no white space.
fn is_silent(letter: char) -> bool {
    (letter.is_control() && !letter.is_whitespace())
        || matches!(
            u32::from(letter),
            0xad | 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x206f | 0x2600..=0x27bf | 0xe000..=0xf8ff
                | 0xfe00..=0xfe0f | 0xfeff | 0xfff0..=0xffff | 0x1f000..
        ) && !matches!(u32::from(letter), 0x20000..=0x3ffff)
}

/// Signs that a script must not have are heard as a pause.
fn spaced(letter: char) -> char {
    match letter {
        '<' | '>' | '{' | '}' | '[' | ']' | '*' | '#' | '_' | '`' | '|' | '\\' | '^' | '~' | '•' => ' ',
        '⟦' | '⟧' | '（' | '）' | '(' | ')' => ' ',
        other => other,
    }
}

/// Removes tags, comments, and scripts and styles with what is in them. A `<` that begins no tag
/// stays.
fn strip_tags(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        let (before, tag) = rest.split_at(at);
        kept.push_str(before);
        match after_tag(tag) {
            Some(after) => {
                if !is_inline(tag) {
                    kept.push(' ');
                }
                rest = after;
            }
            None => {
                kept.push('<');
                rest = &tag[1..];
            }
        }
    }
    kept.push_str(rest);
    kept
}

/// True for a tag that stands within a word or sentence.
fn is_inline(tag: &str) -> bool {
    const INLINE: [&str; 12] = ["a", "b", "code", "em", "i", "mark", "small", "span", "strong", "sub", "sup", "u"];
    let name = tag.trim_start_matches(['<', '/']).split(|letter: char| !letter.is_ascii_alphanumeric()).next();
    name.is_some_and(|name| INLINE.contains(&name.to_ascii_lowercase().as_str()))
}

/// What follows the tag that `text` begins with; `None` when it is no tag. A comment, script or
/// style that never ends goes on to the end.
fn after_tag(text: &str) -> Option<&str> {
    if !text[1..].starts_with(|letter: char| letter.is_ascii_alphabetic() || "/!?".contains(letter)) {
        return None;
    }
    let opens = |name: &str| text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    let wholes = [("<!--", "-->"), ("<script", "</script>"), ("<style", "</style>")];
    let Some((_, end)) = wholes.into_iter().find(|(name, _)| opens(name)) else {
        return text.split_once('>').map(|(_, after)| after);
    };
    let found = text.to_ascii_lowercase().find(end);
    Some(found.and_then(|at| text.get(at + end.len()..)).unwrap_or_default())
}

fn decode_entities(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        kept.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let entity = after.split_once(';').filter(|(name, _)| name.len() <= 10);
        match entity.and_then(|(name, tail)| Some((entity_letter(name)?, tail))) {
            Some((letter, tail)) => {
                kept.push(letter);
                rest = tail;
            }
            None => {
                kept.push('&');
                rest = after;
            }
        }
    }
    kept.push_str(rest);
    kept
}

fn entity_letter(name: &str) -> Option<char> {
    let number = |digits: &str, radix| u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
    if let Some(digits) = name.strip_prefix('#') {
        return match digits.strip_prefix(['x', 'X']) {
            Some(hex) => number(hex, 16),
            None => number(digits, 10),
        };
    }
    let mut entities = ENTITIES.split_whitespace();
    while let (Some(known), Some(letters)) = (entities.next(), entities.next()) {
        if known == name {
            return letters.chars().next();
        }
    }
    matches!(name, "nbsp" | "ensp" | "emsp" | "thinsp").then_some(' ')
}
