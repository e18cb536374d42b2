//! The log and traces.

use std::ffi::OsString;

use clap::Args;
use url::Url;

use super::fault::Fault;
use super::raw::{Given, Said};
use super::resolve::{Resolver, malformed, text};
use super::setting::Setting;
use crate::telemetry::{LogFormat, LogLevel, TraceOptions};

const TELEMETRY: &str = "Log and traces";

/// The flags about log and traces.
#[derive(Debug, Args)]
pub(super) struct TelemetryFlags {
    /// How much the log on standard error says: off, error, warn, info or debug.
    ///
    /// Code and its output are never logged.
    #[arg(long, value_name = "LEVEL", help_heading = TELEMETRY)]
    log_level: Option<OsString>,

    /// How its lines are written: text, or json with an object a line.
    #[arg(long, value_name = "FORMAT", help_heading = TELEMETRY)]
    log_format: Option<OsString>,

    /// Send traces to the OpenTelemetry collector at this URL, by OTLP over HTTP.
    ///
    /// They hold names, times and ids, neither code nor its output. /v1/traces is added where the URL does
    /// not end with it.
    #[arg(long, value_name = "URL", help_heading = TELEMETRY)]
    otlp_endpoint: Option<OsString>,

    /// A file with headers for the collector, as one "name: value" a line. Needs --otlp-endpoint.
    #[arg(long, value_name = "FILE", help_heading = TELEMETRY)]
    otlp_headers_file: Option<OsString>,

    /// The part of traces that is sent (0 to 1), where no caller has decided. Needs --otlp-endpoint.
    #[arg(long, value_name = "RATIO", help_heading = TELEMETRY)]
    otlp_sample_ratio: Option<OsString>,
}

impl TelemetryFlags {
    /// What each of them says.
    pub(super) fn values(self) -> [(Setting, Option<OsString>); 5] {
        [
            (Setting::LogLevel, self.log_level),
            (Setting::LogFormat, self.log_format),
            (Setting::OtlpEndpoint, self.otlp_endpoint),
            (Setting::OtlpHeadersFile, self.otlp_headers_file),
            (Setting::OtlpSampleRatio, self.otlp_sample_ratio),
        ]
    }
}

impl Resolver<'_> {
    pub(super) fn log_level(&mut self) -> LogLevel {
        let expected = "one of off, error, warn, info, debug";
        self.word(
            Setting::LogLevel,
            LogLevel::Info,
            expected,
            LogLevel::from_name,
        )
    }

    pub(super) fn log_format(&mut self) -> LogFormat {
        self.word(
            Setting::LogFormat,
            LogFormat::default(),
            "text or json",
            LogFormat::from_name,
        )
    }

    pub(super) fn traces(&mut self) -> Option<TraceOptions> {
        // Everything is read, so that everything that is wrong is reported.
        let endpoint = self.value(Setting::OtlpEndpoint, None, |said| endpoint(said).map(Some));
        let headers_file = self.path(Setting::OtlpHeadersFile);
        let sample_ratio = self.value(Setting::OtlpSampleRatio, 1.0, ratio);
        for setting in [Setting::OtlpHeadersFile, Setting::OtlpSampleRatio] {
            self.need(
                setting,
                Setting::OtlpEndpoint,
                "it is about traces, which are sent where that says",
            );
        }
        Some(TraceOptions {
            endpoint: endpoint?,
            headers_file,
            sample_ratio,
        })
    }
}

fn endpoint(said: &Said) -> Result<Url, Fault> {
    let expected = "an http or https URL without user, query and fragment";
    let hidden = || Fault::Malformed {
        origin: said.origin.clone(),
        // It may hold a password.
        given: "what is there".to_owned(),
        expected: expected.to_owned(),
    };
    let url = Url::parse(text(said, expected)?).map_err(|_| hidden())?;
    let is_plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    is_plain.then_some(url).ok_or_else(hidden)
}

#[allow(
    clippy::cast_precision_loss,
    reason = "a whole number that is in range is exact"
)]
fn ratio(said: &Said) -> Result<f64, Fault> {
    let number = match &said.given {
        Given::Text(text) => text.to_str().and_then(|text| text.trim().parse().ok()),
        Given::Texts(_) => None,
        Given::Toml(toml::Value::Integer(number)) => Some(*number as f64),
        Given::Toml(value) => value.as_float(),
    };
    number
        .filter(|number| (0.0..=1.0).contains(number))
        .ok_or_else(|| malformed(said, "a number from 0 to 1"))
}
