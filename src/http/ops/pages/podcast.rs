//! `GET /ops/podcasts/{id}`: one podcast with all that happened to it; its audio; and the name of
//! its learner, which is shown to who asks for it and leaves a line in the audit.

use poem::{Request, Response, handler};

use crate::{
    http::{
        api::audio,
        error::Refusal,
        ops::{
            deed::{Done, Sent},
            door,
            sheet::{Form, Sheet, Visit},
        },
    },
    ops::{audit, listing, story},
    store::academy,
};

/// Shows it.
pub(in crate::http::ops) async fn show(visit: Visit) -> Result<Sheet, Refusal> {
    let id = visit.id()?;
    let story = story::of(&visit.app.desk, id).await;
    let story = story.map_err(|error| Refusal::database(&error))?.ok_or(Refusal::NotFound)?;
    Ok(Sheet::new("podcast", format!("Podcast {id}"), &story))
}

/// `GET /ops/podcasts/{id}/audio`: as learners get it.
#[handler]
pub(in crate::http::ops) async fn play(request: &Request) -> poem::Result<Response> {
    let visit = match door::visit(request).await {
        Ok(visit) => visit,
        Err(refusal) => return Ok(Form::of(request).refuse(refusal, request)),
    };
    audio::serve_any(request, &visit.app, visit.id()?).await
}

/// `POST /ops/podcasts/{id}/reveal`: says how the learner is called.
pub(in crate::http::ops) async fn reveal(visit: Visit, _sent: Sent) -> Result<Done, Refusal> {
    let (id, desk) = (visit.id()?, &visit.app.desk);
    let user_id = listing::learner(desk, id).await.map_err(|error| Refusal::database(&error))?;
    let user_id = user_id.ok_or(Refusal::NotFound)?;
    // Written down first: nobody sees a name without a line.
    let (subject, detail) = (format!("learner {user_id}"), format!("on the page of podcast {id}"));
    let written = audit::record(desk.store.pool(), &visit.actor, "reveal", &subject, &detail).await;
    written.map_err(|error| Refusal::database(&error))?;
    // Shown in this answer: a cookie would carry the name on.
    let page = show(visit.clone()).await?;
    let name = academy::name_of(desk.store.desk(), user_id).await.map_err(|error| Refusal::database(&error))?;
    let said = match &name {
        Some(name) => format!("Learner {user_id} is called {name}."),
        None => format!("The academy has no name for learner {user_id}."),
    };
    let done = Done::new(format!("/ops/podcasts/{id}"), said, serde_json::json!({ "user_id": user_id, "name": name }));
    Ok(Done { sheet: Some(page), ..done })
}
