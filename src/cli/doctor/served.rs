//! What is served: how learners reach it, who may operate it, who may measure it.

use super::Report;
use crate::config::{self, Config};

/// Looks at the settings of the server.
pub(super) fn check(config: &Config, report: &mut Report) {
    let http = &config.http;
    match &http.public_url {
        None => {
            let what = format!("http.public_url is not set: learners are sent to {}", http.listen);
            report.note("address", what, "set http.public_url to the address under which learners reach this service");
        }
        Some(url) if config::is_exposed(url) => {
            let what = format!("learners' tokens can be read on their way to {url}");
            report.bad("address", what, "begin http.public_url with https://");
        }
        Some(url) => report.good("address", format!("learners are sent to {url}")),
    }
    let machines = if config.ops.token.is_some() { ", and machines with ops.token" } else { "; ops.token is not set" };
    report.good("operators", format!("staff of the academy{machines}"));
    let metrics = if http.metrics { "/metrics answers" } else { "/metrics is off (http.metrics)" };
    report.good("metrics", metrics);
}
