//! Whether this process is alive, and whether it should get requests.

use std::sync::Arc;

use poem::{
    IntoResponse, Response, handler,
    http::StatusCode,
    web::{Data, Json},
};
use serde_json::json;

use super::{App, error::Refusal};

/// `GET /healthz`: the process answers.
#[handler]
pub(super) fn healthz() -> Response {
    Json(json!({ "status": "ok" })).into_response()
}

/// `GET /readyz`: the database can be reached and has every migration this program needs.
#[handler]
pub(super) async fn readyz(Data(app): Data<&Arc<App>>) -> Response {
    match app.reads.level().await {
        Ok(level) if level.is_enough() => Json(json!({ "status": "ok" })).into_response(),
        Ok(_) => {
            let detail = "The database lacks migrations: run `dailycast migrate`.";
            Json(json!({ "detail": detail, "code": "migrations" }))
                .with_status(StatusCode::SERVICE_UNAVAILABLE)
                .into_response()
        }
        Err(error) => Refusal::database(&error).into_response(),
    }
}
