//! The two text formats of `/metrics`, and their negotiation. Pure.

use http::HeaderMap;
use http::header::ACCEPT;

/// A text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricsFormat {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The Prometheus text format 0.0.4, which all tools support.
    Prometheus,
}

impl MetricsFormat {
    /// The format for a request: OpenMetrics if `Accept` lists it, as that of Prometheus does.
    pub fn of(headers: &HeaderMap) -> Self {
        let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let named = |value: &str| value.contains("application/openmetrics-text");
        if accepted.into_iter().any(named) { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// The content type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// Converts OpenMetrics text to this format.
    pub fn of_open_metrics(self, text: String) -> String {
        match self {
            Self::OpenMetrics => text,
            Self::Prometheus => prometheus(&text),
        }
    }
}

/// In the older format a family has the name of its samples, and neither the type `info` nor the
/// final `# EOF` exists.
fn prometheus(text: &str) -> String {
    let mut names = Vec::new();
    for line in text.lines() {
        if let Some((name, kind)) =
            line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            names.push((name, kind));
        }
    }
    let sample_name = |name: &str| match names.iter().find(|(family, _)| *family == name) {
        Some((_, "counter")) => format!("{name}_total"),
        Some((_, "info")) => format!("{name}_info"),
        _ => name.to_owned(),
    };
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let Some(comment) = line.strip_prefix("# ") else {
            out.extend([line, "\n"]);
            continue;
        };
        let mut words = comment.splitn(3, ' ');
        if let (Some(word @ ("HELP" | "TYPE")), Some(name), Some(rest)) =
            (words.next(), words.next(), words.next())
        {
            let rest = if (word, rest) == ("TYPE", "info") { "gauge" } else { rest };
            out.extend(["# ", word, " ", &sample_name(name), " ", rest, "\n"]);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_metrics_is_used_if_the_client_accepts_it() {
        let format = |accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            MetricsFormat::of(&headers)
        };
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.2";
        assert_eq!(format(prometheus), MetricsFormat::OpenMetrics);
        assert_eq!(format("*/*"), MetricsFormat::Prometheus);
        assert_eq!(MetricsFormat::of(&HeaderMap::new()), MetricsFormat::Prometheus);
    }

    #[test]
    fn the_older_format_has_the_names_of_samples_and_no_eof() {
        let open = "# HELP x_build Version.\n# TYPE x_build info\nx_build_info{v=\"# HELP\"} 1\n# HELP x_things Things.\n# TYPE x_things counter\nx_things_total{a=\"b\"} 7\n# HELP x_g G.\n# TYPE x_g gauge\n# UNIT x_g seconds\nx_g 1\n# EOF\n";
        let text = MetricsFormat::Prometheus.of_open_metrics(open.into());
        let expected = "# HELP x_build_info Version.\n# TYPE x_build_info gauge\nx_build_info{v=\"# HELP\"} 1\n# HELP x_things_total Things.\n# TYPE x_things_total counter\nx_things_total{a=\"b\"} 7\n# HELP x_g G.\n# TYPE x_g gauge\nx_g 1\n";
        assert_eq!(text, expected);
        assert_eq!(MetricsFormat::OpenMetrics.of_open_metrics(open.into()), open);
    }
}
