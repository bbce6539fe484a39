//! Where spans go: in batches to a collector, by OTLP over HTTP.
//!
//! What would surprise: nothing waits for the collector. What does not fit into the queue is dropped,
//! and so is a batch that it does not take.

use std::time::Duration;

use opentelemetry::{Key, KeyValue, trace::TracerProvider as _};
use opentelemetry_http::HttpClient;
use opentelemetry_otlp::{
    ExporterBuildError, Protocol, RetryPolicy, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::{
    Resource,
    trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider},
};
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{Layer, filter::filter_fn, registry::LookupSpan};

/// What we are called where the environment does not say so (`OTEL_SERVICE_NAME`).
const NAME: &str = env!("CARGO_PKG_NAME");

/// The most spans that wait to be sent, and that are sent at once.
const QUEUE: usize = 8192;
const BATCH: usize = 512;

/// How long spans wait until more have come.
const DELAY: Duration = Duration::from_secs(2);

/// The longest wait for the collector at the end.
const PARTING: Duration = Duration::from_secs(2);

/// Takes spans and sends them.
#[derive(Debug, Clone)]
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// Traces for the collector at `endpoint`, an address to which `/v1/traces` is added, through
    /// `client`. Headers for it, the sampler and the name of the service are read from the
    /// environment by their usual names (`OTEL_…`).
    ///
    /// # Errors
    /// When the endpoint is no address, or one of those variables is wrong.
    pub fn to(endpoint: &str, client: impl HttpClient + 'static) -> Result<Self, ExporterBuildError> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
            .with_protocol(Protocol::HttpBinary)
            // New spans come soon enough, and the end of the process must not wait for many tries.
            .with_retry_policy(RetryPolicy::disabled())
            .build()?;
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(DELAY)
            .build();
        let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batches).build();
        Ok(Self(SdkTracerProvider::builder().with_span_processor(processor).with_resource(resource()).build()))
    }

    /// What collects our spans: those, no one else's, and no log lines.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + Send + Sync + 'static
    where
        S: Subscriber + for<'l> LookupSpan<'l> + Send + Sync,
    {
        let is_ours = filter_fn(|metadata| metadata.is_span() && metadata.target().starts_with(NAME));
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer(NAME))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_context_activation(false)
            .with_filter(is_ours.with_max_level_hint(LevelFilter::INFO))
    }

    /// Sends what still waits, as far as the collector takes it within a moment.
    pub async fn end(self) {
        // It blocks, and the last batch is sent by the runtime.
        let ended = tokio::task::spawn_blocking(move || self.0.shutdown_with_timeout(PARTING)).await;
        if !matches!(ended, Ok(Ok(()))) {
            tracing::warn!("the last traces did not reach the collector");
        }
    }
}

fn resource() -> Resource {
    let told = Resource::builder().build();
    let name = told.get(&Key::new("service.name")).map(|name| name.to_string()).unwrap_or_default();
    let resource = Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    // The name that the SDK gives to who has none.
    if name.is_empty() || name.starts_with("unknown_service") {
        resource.with_service_name(NAME).build()
    } else {
        resource.build()
    }
}
