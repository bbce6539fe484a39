//! Who an operator is, and what he may do.

use serde::Serialize;

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

    /// Somebody at the command line of a host, who has its database's password.
    pub fn at_host(user: &str, host: &str) -> Self {
        Self { name: format!("{user}@{host}"), user_id: None, role: Role::Operator }
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
