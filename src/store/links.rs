//! The link that opens a feed or an episode to whoever has it, as it is kept.
//!
//! Kept is what its key is made from, and the key's hash, so that a copy of the table opens nothing. A
//! link that is replaced or taken back leaves its hash behind, so that whoever follows it is told so.

/// SHA-256 of the key in a link.
pub type LinkHash = [u8; 32];

/// A link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// What its key is made from: 16 random bytes.
    pub seed: Vec<u8>,
    /// [`LinkHash`] of the key.
    pub key_hash: Vec<u8>,
}
