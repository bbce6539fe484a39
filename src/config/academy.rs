//! Section `academy`.

use super::{problem::Fault, reader::Reader};

/// Longest name of a schema in Postgres, in bytes (NAMEDATALEN less one).
const LONGEST_NAME: usize = 63;

/// Where learners are read.
#[derive(Debug, Clone)]
pub struct Academy {
    /// Schema of the views: lower-case letters, digits and underscores, so it needs no quotes.
    pub schema: String,
}

impl Academy {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let schema = reader.parsed("schema", |text| {
            let letters = |c: char| c.is_ascii_lowercase() || c == '_';
            let plain = text.starts_with(letters) && text.chars().all(|c| letters(c) || c.is_ascii_digit());
            if !plain || text.len() > LONGEST_NAME {
                let mend = "write lower-case letters, digits and underscores, like \"academy\"";
                return Err(Fault::new(format!("{text:?} is not a plain name of a schema"), mend));
            }
            Ok(text.to_owned())
        });
        Some(Self { schema: schema? })
    }
}
