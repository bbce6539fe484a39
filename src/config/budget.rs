//! Section `budget`.

use super::reader::Reader;

/// What a night may cost.
#[derive(Debug, Clone)]
pub struct Budget {
    /// In millionths of a US dollar; `None`: no limit.
    pub micro_usd_per_night: Option<i64>,
}

impl Budget {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self { micro_usd_per_night: reader.optional_micro_usd("usd_per_night")? })
    }
}
