//! Metric families in the form that the encoder needs.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use crate::histogram::Snapshot;

/// The labels of a sample.
pub type Labels = Vec<(&'static str, String)>;

/// The samples of a family, by metric type.
#[derive(Debug)]
pub enum Values {
    /// Counters.
    Counters(Vec<(Labels, u64)>),
    /// Gauges.
    Gauges(Vec<(Labels, f64)>),
    /// Histograms.
    Histograms(Vec<(Labels, Snapshot)>),
    /// An info metric, which consists of labels.
    Info(Labels),
}

/// A metric family.
#[derive(Debug)]
pub struct Family {
    /// The name, without the prefix of the program and without `_total`.
    pub name: &'static str,
    /// The help text.
    pub help: &'static str,
    /// The samples.
    pub values: Values,
}

impl Family {
    /// Encodes all samples.
    pub fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let kind = match &self.values {
            Values::Counters(_) => MetricType::Counter,
            Values::Gauges(_) => MetricType::Gauge,
            Values::Histograms(_) => MetricType::Histogram,
            Values::Info(_) => MetricType::Info,
        };
        let mut family = encoder.encode_descriptor(self.name, self.help, None, kind)?;
        match &self.values {
            Values::Counters(samples) => samples.iter().try_for_each(|(labels, value)| {
                let encode = |sample: &mut MetricEncoder<'_>| {
                    sample.encode_counter::<NoLabelSet, _, f64>(value, None)
                };
                encode_sample(&mut family, labels, encode)
            }),
            Values::Gauges(samples) => samples.iter().try_for_each(|(labels, value)| {
                encode_sample(&mut family, labels, |sample| encode_gauge(sample, *value))
            }),
            Values::Histograms(samples) => samples.iter().try_for_each(|(labels, snapshot)| {
                let Snapshot { sum, count, buckets } = snapshot;
                let encode = |sample: &mut MetricEncoder<'_>| {
                    sample.encode_histogram::<NoLabelSet>(*sum, *count, buckets, None)
                };
                encode_sample(&mut family, labels, encode)
            }),
            Values::Info(labels) => family.encode_info(labels),
        }
    }

    /// Whether the family has no samples yet.
    pub fn is_empty(&self) -> bool {
        match &self.values {
            Values::Counters(samples) => samples.is_empty(),
            Values::Gauges(samples) => samples.is_empty(),
            Values::Histograms(samples) => samples.is_empty(),
            Values::Info(_) => false,
        }
    }
}

/// A sample without labels is encoded without braces.
fn encode_sample(
    family: &mut MetricEncoder<'_>,
    labels: &Labels,
    encode: impl FnOnce(&mut MetricEncoder<'_>) -> fmt::Result,
) -> fmt::Result {
    if labels.is_empty() { encode(family) } else { encode(&mut family.encode_family(labels)?) }
}

/// Encodes a whole number without a decimal point.
fn encode_gauge(sample: &mut MetricEncoder<'_>, value: f64) -> fmt::Result {
    let whole = value as i64;
    if whole as f64 == value { sample.encode_gauge(&whole) } else { sample.encode_gauge(&value) }
}
