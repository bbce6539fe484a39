//! Who an operator is, and what he may do.

use std::{fs, os::unix::fs::MetadataExt as _};

use serde::Serialize;

use crate::worker::host;

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Look at everything.
    Viewer,
    /// Change things, too.
    Operator,
}

/// Somebody at the desk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Actor {
    /// As he is named in the audit and in event lines: `user 7`, `ops.token`, `root@host`.
    pub name: String,
    /// His number in the academy; `None` for machines and the command line.
    pub user_id: Option<i64>,
    /// What he may do.
    pub role: Role,
}

impl Actor {
    /// A machine that brings `ops.token`.
    pub fn machine() -> Self {
        Self { name: "ops.token".to_owned(), user_id: None, role: Role::Operator }
    }

    /// Who runs this process: `root@host`.
    pub fn at_the_command_line() -> Self {
        let name = format!("{}@{}", user_name(), host::host_name());
        Self { name, user_id: None, role: Role::Operator }
    }

    /// Staff of the academy; `None` for somebody who is not.
    pub fn staff(user_id: i64, is_staff: bool, is_superuser: bool) -> Option<Self> {
        let role = match (is_staff, is_superuser) {
            (_, true) => Role::Operator,
            (true, false) => Role::Viewer,
            (false, false) => return None,
        };
        Some(Self { name: format!("user {user_id}"), user_id: Some(user_id), role })
    }
}

/// The name of the user who runs this process, or the number where nobody named it.
fn user_name() -> String {
    let Ok(process) = fs::metadata("/proc/self") else { return "somebody".to_owned() };
    let number = process.uid().to_string();
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    // passwd(5): name, password, number, and more.
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == number).then(|| name.to_owned())
    });
    name.unwrap_or(number)
}
