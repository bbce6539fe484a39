//! `sim`: our simulator of the six providers, in the foreground.

use anyhow::Context as _;
use serde_json::json;

use super::{args, context::Context, exit::Advice, exit::Exit, output};
use crate::{
    clock::{Clock as _, SystemClock},
    config::{Config, Secret},
    sim::{ACCESS_KEY_ID, Faults, SECRET_ACCESS_KEY, Server, Settings},
    worker::shutdown::Shutdown,
};

/// The key that is shown and used; the simulator takes every one that does not begin with
/// `refused`.
const KEY: &str = "sim-key";

/// Runs the command.
///
/// # Errors
/// What kept it from starting.
pub async fn run(args: args::Sim, context: Context) -> anyhow::Result<Exit> {
    let args::Sim::Serve(args) = args;
    let mut faults = Faults::default();
    if let Some(file) = &args.faults {
        let mend = "its keys are explained at the top of src/sim/faults.rs, and src/sim/faults.toml is an example";
        let wrong = || Advice::usage(format!("the fault file {} cannot be used", file.display()), mend);
        faults = Faults::parse(&std::fs::read_to_string(file).with_context(wrong)?).with_context(wrong)?;
    }
    if let Some(scale) = args.latency_scale {
        faults = faults.with_latency_scale(scale);
    }
    let server = start((args.listen, args.port).into(), faults).await?;
    let shutdown = Shutdown::new();
    shutdown.on_signals().context("cannot listen for signals")?;
    let variables = variables(&server.url());
    if context.json {
        let variables: serde_json::Map<_, _> =
            variables.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        output::json(&json!({ "url": server.url(), "environment": variables }))?;
    } else {
        output::line(format!("six providers are simulated at {}; stop with Ctrl-C", server.url()))?;
        output::line("\nto use them, set in the environment of dailycast:")?;
        for (name, value) in variables {
            output::line(format!("export {name}={value}"))?;
        }
        output::line(format!("\nwhat they would bill: curl {}/sim/usage", server.url()))?;
    }
    shutdown.asked().await;
    server.stop().await;
    Ok(Exit::Done)
}

/// Starts a simulator by this host's clock.
///
/// # Errors
/// [`Advice`] when the address cannot be listened on.
pub async fn start(listen: std::net::SocketAddr, faults: Faults) -> anyhow::Result<Server> {
    let settings = Settings { listen, faults, ..Settings::new(|| SystemClock.now()) };
    let mend = "stop what listens there, or choose another port with --port";
    Server::start(settings).await.context(Advice::usage(format!("the simulator cannot be served on {listen}"), mend))
}

/// Points all six providers at a simulator.
pub fn point_settings(config: &mut Config, url: &str) {
    let providers = &mut config.providers;
    let key = || Some(Secret::new(KEY.to_owned()));
    for writer in [&mut providers.openai, &mut providers.gemini, &mut providers.anthropic] {
        (writer.api_key, writer.base_url, writer.model) = (key(), format!("{url}/v1"), None);
    }
    providers.polly.endpoint_url = Some(url.to_owned());
    providers.polly.access_key_id = Some(Secret::new(ACCESS_KEY_ID.to_owned()));
    providers.polly.secret_access_key = Some(Secret::new(SECRET_ACCESS_KEY.to_owned()));
    (providers.polly.session_token, providers.polly.engine) = (None, None);
    let google = &mut providers.google_tts;
    (google.credentials_file, google.api_key, google.base_url) = (None, key(), url.to_owned());
    let azure = &mut providers.azure_tts;
    (azure.key, azure.region, azure.base_url) = (key(), Some("simulated".to_owned()), Some(url.to_owned()));
}

/// The same as variables of the environment.
pub fn variables(url: &str) -> Vec<(&'static str, String)> {
    vec![
        ("DAILYCAST_PROVIDERS__OPENAI__BASE_URL", format!("{url}/v1")),
        ("DAILYCAST_PROVIDERS__OPENAI__API_KEY", KEY.to_owned()),
        ("DAILYCAST_PROVIDERS__GEMINI__BASE_URL", format!("{url}/v1")),
        ("DAILYCAST_PROVIDERS__GEMINI__API_KEY", KEY.to_owned()),
        ("DAILYCAST_PROVIDERS__ANTHROPIC__BASE_URL", format!("{url}/v1")),
        ("DAILYCAST_PROVIDERS__ANTHROPIC__API_KEY", KEY.to_owned()),
        ("DAILYCAST_PROVIDERS__POLLY__ENDPOINT_URL", url.to_owned()),
        ("DAILYCAST_PROVIDERS__POLLY__ACCESS_KEY_ID", ACCESS_KEY_ID.to_owned()),
        ("DAILYCAST_PROVIDERS__POLLY__SECRET_ACCESS_KEY", SECRET_ACCESS_KEY.to_owned()),
        ("DAILYCAST_PROVIDERS__GOOGLE_TTS__BASE_URL", url.to_owned()),
        ("DAILYCAST_PROVIDERS__GOOGLE_TTS__API_KEY", KEY.to_owned()),
        ("DAILYCAST_PROVIDERS__AZURE_TTS__BASE_URL", url.to_owned()),
        ("DAILYCAST_PROVIDERS__AZURE_TTS__REGION", "simulated".to_owned()),
        ("DAILYCAST_PROVIDERS__AZURE_TTS__KEY", KEY.to_owned()),
    ]
}
