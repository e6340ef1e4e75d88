//! Reads the standard variables of OpenTelemetry (`OTEL_*`) that the exporter does not read itself.

use std::path::PathBuf;
use std::time::Duration;

use super::Sampling;

/// Default timeout of an export.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Transport of the spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportProtocol {
    Grpc,
    HttpProtobuf,
}

/// Settings from the environment variables.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceSettings {
    pub protocol: ExportProtocol,
    /// Whether the endpoint is explicitly `http:`, so no TLS is set up.
    pub is_plain: bool,
    pub sampling: Sampling,
    pub timeout: Duration,
    /// Trusted certificates in addition to the system's.
    pub certificate: Option<PathBuf>,
    /// Whether the variables set the service name.
    pub has_service_name: bool,
}

/// Reads variables through a lookup function.
pub struct Variables<'a> {
    look_up: &'a dyn Fn(&str) -> Option<String>,
    warnings: Vec<String>,
}

impl<'a> Variables<'a> {
    /// `look_up` returns the value of a variable. An empty value counts as unset.
    pub fn new(look_up: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { look_up, warnings: Vec::new() }
    }

    /// Returns the settings, and warnings about ignored variables. The settings are `None` if
    /// tracing is disabled or no endpoint of a collector is set.
    pub fn settings(mut self) -> (Option<TraceSettings>, Vec<String>) {
        if self.is_off() {
            return (None, self.warnings);
        }
        let Some(endpoint) = self.of_traces("ENDPOINT").map(|(_, value)| value) else {
            return (None, self.warnings);
        };
        let settings = TraceSettings {
            protocol: self.protocol(),
            is_plain: endpoint.to_ascii_lowercase().starts_with("http:"),
            sampling: self.sampling(),
            timeout: self.timeout(),
            certificate: self.of_traces("CERTIFICATE").map(|(_, value)| value.into()),
            has_service_name: self.has_service_name(),
        };
        self.warn_about_unsupported();
        (Some(settings), self.warnings)
    }

    fn get(&self, name: &str) -> Option<String> {
        (self.look_up)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// The name and value of the trace-specific variable, or else of the one for all signals.
    fn of_traces(&self, suffix: &str) -> Option<(String, String)> {
        let names = ["TRACES_", ""].map(|signal| format!("OTEL_EXPORTER_OTLP_{signal}{suffix}"));
        names.into_iter().find_map(|name| self.get(&name).map(|value| (name, value)))
    }

    fn ignore(&mut self, name: &str, value: &str, expected: &str) {
        self.warnings.push(format!("{name}={value} is ignored: expected {expected}"));
    }

    fn is_off(&mut self) -> bool {
        let disabled = self.get("OTEL_SDK_DISABLED");
        if disabled.is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return true;
        }
        match self.get("OTEL_TRACES_EXPORTER").as_deref() {
            None | Some("otlp") => false,
            Some("none") => true,
            Some(other) => {
                self.ignore("OTEL_TRACES_EXPORTER", other, "otlp or none");
                false
            }
        }
    }

    fn protocol(&mut self) -> ExportProtocol {
        let Some((name, value)) = self.of_traces("PROTOCOL") else {
            return ExportProtocol::HttpProtobuf;
        };
        match value.as_str() {
            "grpc" => ExportProtocol::Grpc,
            "http/protobuf" => ExportProtocol::HttpProtobuf,
            other => {
                self.ignore(&name, other, "grpc or http/protobuf");
                ExportProtocol::HttpProtobuf
            }
        }
    }

    fn timeout(&mut self) -> Duration {
        let Some((name, value)) = self.of_traces("TIMEOUT") else { return TIMEOUT };
        match value.parse() {
            Ok(millis @ 1..) => Duration::from_millis(millis),
            _ => {
                self.ignore(&name, &value, "a number of milliseconds");
                TIMEOUT
            }
        }
    }

    fn sampling(&mut self) -> Sampling {
        const NAME: &str = "OTEL_TRACES_SAMPLER";
        let Some(sampler) = self.get(NAME) else { return Sampling::ALL };
        let (follows_parent, own) = match sampler.strip_prefix("parentbased_") {
            Some(own) => (true, own),
            None => (false, sampler.as_str()),
        };
        let ratio = match own {
            "always_on" => 1.0,
            "always_off" => 0.0,
            "traceidratio" => self.ratio(),
            _ => {
                self.ignore(NAME, &sampler, "a supported sampler");
                return Sampling::ALL;
            }
        };
        Sampling { follows_parent, ratio }
    }

    fn ratio(&mut self) -> f64 {
        const NAME: &str = "OTEL_TRACES_SAMPLER_ARG";
        let Some(value) = self.get(NAME) else { return 1.0 };
        match value.parse() {
            Ok(ratio) if (0.0..=1.0).contains(&ratio) => ratio,
            _ => {
                self.ignore(NAME, &value, "a number from 0 to 1");
                1.0
            }
        }
    }

    fn has_service_name(&self) -> bool {
        let attributes = self.get("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
        let named = |pair: &str| pair.trim_start().starts_with("service.name=");
        self.get("OTEL_SERVICE_NAME").is_some() || attributes.split(',').any(named)
    }

    fn warn_about_unsupported(&mut self) {
        let compression = self.of_traces("COMPRESSION").filter(|(_, value)| value != "none");
        if let Some((name, value)) = compression {
            self.ignore(&name, &value, "none");
        }
        for suffix in ["CLIENT_KEY", "CLIENT_CERTIFICATE"] {
            if let Some((name, value)) = self.of_traces(suffix) {
                let why = "client certificates are not supported";
                self.warnings.push(format!("{name}={value} is ignored: {why}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");

    fn read(variables: &[(&str, &str)]) -> (Option<TraceSettings>, Vec<String>) {
        let look_up = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Variables::new(&look_up).settings()
    }

    /// With an endpoint and these.
    fn settings(variables: &[(&str, &str)]) -> TraceSettings {
        let (settings, warnings) = read(&[&[ENDPOINT], variables].concat());
        assert_eq!(warnings, [""; 0]);
        settings.expect("settings")
    }

    #[test]
    fn tracing_is_off_without_an_endpoint_or_if_disabled() {
        assert_eq!(read(&[]), (None, vec![]));
        assert_eq!(read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]), (None, vec![]));
        assert_eq!(read(&[ENDPOINT, ("OTEL_SDK_DISABLED", "True")]), (None, vec![]));
        assert_eq!(read(&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")]), (None, vec![]));
        assert!(read(&[ENDPOINT, ("OTEL_SDK_DISABLED", "no")]).0.is_some());
    }

    #[test]
    fn the_trace_specific_variable_overrides_the_general_one() {
        let all = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
        assert_eq!(settings(&[]).protocol, ExportProtocol::HttpProtobuf);
        assert_eq!(settings(&[all]).protocol, ExportProtocol::Grpc);
        let traces = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf");
        assert_eq!(settings(&[all, traces]).protocol, ExportProtocol::HttpProtobuf);
        let tls = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://collector/v1/traces");
        assert!(settings(&[]).is_plain && !settings(&[tls]).is_plain);
    }

    #[test]
    fn the_senders_decision_is_respected_only_by_parent_based_samplers() {
        let sampling = |sampler, arg| {
            let variables = [("OTEL_TRACES_SAMPLER", sampler), ("OTEL_TRACES_SAMPLER_ARG", arg)];
            let Sampling { follows_parent, ratio } = settings(&variables).sampling;
            (follows_parent, ratio)
        };
        for (sampler, arg, expected) in [
            ("", "", (false, 1.0)),
            ("always_on", "", (false, 1.0)),
            ("always_off", "", (false, 0.0)),
            ("traceidratio", "0.01", (false, 0.01)),
            ("traceidratio", "", (false, 1.0)),
            ("parentbased_always_on", "", (true, 1.0)),
            ("parentbased_always_off", "", (true, 0.0)),
            ("parentbased_traceidratio", "0.5", (true, 0.5)),
        ] {
            assert_eq!(sampling(sampler, arg), expected, "{sampler} {arg}");
        }
    }

    #[test]
    fn an_unknown_value_is_ignored_with_a_warning() {
        for (name, value) in [
            ("OTEL_TRACES_EXPORTER", "zipkin"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
            ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ] {
            let (found, warnings) = read(&[ENDPOINT, (name, value)]);
            assert_eq!(found, Some(settings(&[])), "{name}");
            assert_eq!(warnings.len(), 1, "{warnings:?}");
            assert!(warnings[0].starts_with(&format!("{name}={value} ")), "{warnings:?}");
        }
        let ratio = [("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "2")];
        assert_eq!(read(&[&[ENDPOINT], &ratio[..]].concat()).1.len(), 1);
    }
}
