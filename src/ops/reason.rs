//! Why something is done, in an operator's words: one line that everybody who looks later can read.

/// The longest, in characters.
const LONGEST: usize = 200;

/// What would do.
pub const WORDS: &str = "Write the reason on one line, in 200 characters at most.";

/// A reason as it is kept; it may be empty.
///
/// # Errors
/// [`WORDS`] when it is longer, or more than a line.
pub fn read(text: &str) -> Result<&str, &'static str> {
    let text = text.trim();
    let is_kept = text.chars().count() <= LONGEST && super::filter::is_plain(text);
    if is_kept { Ok(text) } else { Err(WORDS) }
}
