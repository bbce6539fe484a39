//! What someone may have meant by a name that does not exist.

/// Most edits between a name and the one that was meant.
const FAR: usize = 3;

/// The known key nearest to `unknown`: a few edits away, or else the only one of that name in
/// another section.
pub(super) fn nearest<'a>(unknown: &str, known: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let by_edits = known.clone().map(|key| (edits(unknown, key), key)).min().filter(|(edits, _)| *edits <= FAR);
    if let Some((_, key)) = by_edits {
        return Some(key);
    }
    let name = unknown.rsplit('.').next()?;
    let mut namesakes = known.filter(|key| key.rsplit('.').next() == Some(name));
    let first = namesakes.next()?;
    namesakes.next().is_none().then_some(first)
}

/// Insertions, deletions and replacements that turn `a` into `b` (Levenshtein).
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
