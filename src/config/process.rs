//! The environment of this process, read once.

use std::path::PathBuf;

/// All variables that are text. Others cannot be settings and are left out.
pub fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// The Python that the set-up gave a neural voice, where it is there: below `/var/lib` for root, in
/// the home of everybody else. `voice` is the English one, `voice-ja` the Japanese one.
pub fn installed_voice(name: &str) -> Option<PathBuf> {
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share"));
    let rooms = [Some(PathBuf::from("/var/lib")), home];
    let mut places = rooms.into_iter().flatten().map(|room| room.join("dailycast").join(name).join("bin/python"));
    places.find(|python| python.is_file())
}
