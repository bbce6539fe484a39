//! How metrics are written down: the text format 0.0.4 of Prometheus, or OpenMetrics for who asks for
//! it.

use prometheus::{
    TextEncoder,
    proto::{self, LabelPair, MetricFamily, MetricType},
};

use super::{
    count,
    metrics::{self, Metric},
};

/// How metrics are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Prometheus's text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Form {
    /// What who sends this `Accept` reads best.
    pub fn of(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Text }
    }

    /// The content type.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The value of a gauge that was read elsewhere.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Which one.
    pub metric: &'static Metric,
    /// The values of its labels, in their order.
    pub labels: Vec<&'static str>,
    /// The value.
    pub value: f64,
}

/// Writes down what this process has counted, and these gauges.
///
/// # Errors
/// When a metric cannot be written; the registry forbids it.
pub fn write(gauges: &[Sample], form: Form) -> Result<String, prometheus::Error> {
    let mut families = count::families();
    families.extend(metrics::ALL.iter().filter_map(|metric| family(metric, gauges)));
    families.sort_by(|one, other| one.name().cmp(other.name()));
    let text = TextEncoder::new().encode_to_string(&families)?;
    Ok(match form {
        Form::Text => text,
        Form::OpenMetrics => as_open_metrics(&text),
    })
}

/// The samples of one metric.
fn family(metric: &Metric, samples: &[Sample]) -> Option<MetricFamily> {
    let samples: Vec<_> = samples.iter().filter(|sample| sample.metric.name == metric.name).map(written).collect();
    if samples.is_empty() {
        return None;
    }
    let mut family = MetricFamily::default();
    family.set_name(metric.name.to_owned());
    family.set_help(metric.help.to_owned());
    family.set_field_type(MetricType::GAUGE);
    family.set_metric(samples);
    Some(family)
}

fn written(sample: &Sample) -> proto::Metric {
    let pair = |(label, value): (&metrics::Label, &&str)| {
        let mut pair = LabelPair::default();
        pair.set_name(label.name.to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    let mut gauge = proto::Gauge::default();
    gauge.set_value(sample.value);
    let mut metric = proto::Metric::from_label(sample.metric.labels.iter().zip(&sample.labels).map(pair).collect());
    metric.set_gauge(gauge);
    metric
}

/// OpenMetrics names a family of counters without `_total`, and says where the end is.
fn as_open_metrics(text: &str) -> String {
    let mut lines = String::with_capacity(text.len() + 16);
    let mut before: Option<&str> = None;
    for line in text.lines() {
        // The help of a family comes before its type, and both name it.
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let cut = |line: &str| line.replacen("_total ", " ", usize::from(rest.ends_with(" counter")));
            for line in before.take().into_iter().chain([line]) {
                lines.push_str(&cut(line));
                lines.push('\n');
            }
        } else if line.starts_with("# HELP ") {
            before = Some(line);
        } else {
            lines.push_str(line);
            lines.push('\n');
        }
    }
    lines.push_str("# EOF\n");
    lines
}
