//! Reads SSML as far as a vendor does before it speaks: is it well-formed, what is spoken, and
//! what is written beside that. Not an XML parser: no doctype, no CDATA, five named entities.

/// The most elements within elements.
const DEEPEST: usize = 64;

/// SSML that can be spoken.
#[derive(Debug, Default)]
pub(super) struct Ssml<'x> {
    /// What is spoken, with entities as the letters they stand for.
    pub(super) text: String,
    /// Every opening and closing tag: its element, what stands between the signs, and its letters.
    pub(super) tags: Vec<Tag<'x>>,
}

/// A tag.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tag<'x> {
    pub(super) name: &'x str,
    inner: &'x str,
}

impl<'x> Tag<'x> {
    /// Letters of the whole tag.
    pub(super) fn letters(&self) -> u64 {
        self.inner.chars().count() as u64 + 2
    }

    /// An attribute's value, as written.
    pub(super) fn attribute(&self, name: &str) -> Option<&'x str> {
        let mut rest = self.inner;
        while let Some(at) = rest.find(name) {
            let before = rest[..at].chars().next_back();
            let after = rest[at + name.len()..].trim_start();
            if let Some(value) = after.strip_prefix('=').filter(|_| before.is_some_and(char::is_whitespace)) {
                let value = value.trim_start();
                let quote = value.chars().next().filter(|quote| ['"', '\''].contains(quote))?;
                return value[1..].split_once(quote).map(|(value, _)| value);
            }
            rest = &rest[at + name.len()..];
        }
        None
    }
}

impl<'x> Ssml<'x> {
    /// The opening tags of an element.
    pub(super) fn elements(&self, name: &str) -> impl Iterator<Item = &Tag<'x>> {
        self.tags.iter().filter(move |tag| tag.name == name && !tag.inner.starts_with('/'))
    }

    /// Letters of all tags but those of some elements.
    pub(super) fn letters_of_tags_but(&self, free: &[&str]) -> u64 {
        self.tags.iter().filter(|tag| !free.contains(&tag.name)).map(Tag::letters).sum()
    }
}

/// Reads a document whose root is `<speak>`.
///
/// # Errors
/// What is wrong with it, in a few words.
pub(super) fn read(xml: &str) -> Result<Ssml<'_>, &'static str> {
    let mut ssml = Ssml::default();
    let mut open: Vec<&str> = Vec::new();
    let mut rest = xml.trim();
    if let Some(declared) = rest.strip_prefix("<?xml") {
        rest = declared.split_once("?>").ok_or("the XML declaration has no end")?.1.trim_start();
    }
    if !rest.starts_with("<speak") {
        return Err("the root is not <speak>");
    }
    while !rest.is_empty() {
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment.split_once("-->").ok_or("a comment has no end")?.1;
        } else if let Some(tag) = rest.strip_prefix('<') {
            let (inner, after) = tag.split_once('>').ok_or("a tag has no end")?;
            ssml.tags.push(tag_of(inner, &mut open)?);
            rest = after;
            if open.is_empty() {
                break;
            }
        } else {
            let end = rest.find('<').ok_or("an element is not closed")?;
            unescape(&rest[..end], &mut ssml.text)?;
            rest = &rest[end..];
        }
    }
    if open.is_empty() && rest.trim().is_empty() { Ok(ssml) } else { Err("it does not end with </speak>") }
}

/// A tag, with what it does to the elements that are open.
fn tag_of<'x>(inner: &'x str, open: &mut Vec<&'x str>) -> Result<Tag<'x>, &'static str> {
    let bare = inner.trim_start_matches('/').trim_end_matches('/');
    let name = bare.split_whitespace().next().unwrap_or_default();
    if !name.starts_with(|letter: char| letter.is_ascii_alphabetic()) || inner.contains('<') {
        return Err("a tag has no name");
    }
    if inner.starts_with('/') {
        if open.pop() != Some(name) {
            return Err("a tag closes what is not open");
        }
    } else if !inner.ends_with('/') {
        if open.len() >= DEEPEST {
            return Err("its elements lie too deep");
        }
        open.push(name);
    }
    Ok(Tag { name, inner })
}

fn unescape(escaped: &str, text: &mut String) -> Result<(), &'static str> {
    let mut rest = escaped;
    while let Some((before, after)) = rest.split_once('&') {
        text.push_str(before);
        let (entity, after) = after.split_once(';').ok_or("an & stands alone")?;
        let number = |digits, radix| u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
        let letter = match entity {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => match entity.strip_prefix("#x") {
                Some(digits) => number(digits, 16),
                None => entity.strip_prefix('#').and_then(|digits| number(digits, 10)),
            },
        };
        text.push(letter.ok_or("an entity is not known")?);
        rest = after;
    }
    text.push_str(rest);
    Ok(())
}
