use crate::telemetry::LogFormat;

use super::*;

#[test]
fn traces_go_where_the_endpoint_says_and_nowhere_without_one() {
    assert_eq!(config(&[], &[]).traces, None);
    let traces = config(
        &["--otlp-endpoint", "https://collector.example:4318/otlp"],
        &[("MCP_V8_OTLP_SAMPLE_RATIO", "0.25")],
    )
    .traces
    .unwrap();
    assert_eq!(
        traces.endpoint.as_str(),
        "https://collector.example:4318/otlp"
    );
    assert!((traces.sample_ratio - 0.25).abs() < f64::EPSILON);
    assert_eq!(traces.headers_file, None);
}

#[test]
fn what_is_wrong_with_traces_is_told_without_passwords() {
    let told = faults(
        &[
            "--otlp-endpoint",
            "https://user:s3cr3t@collector.example",
            "--otlp-sample-ratio",
            "1.5",
            "--log-format",
            "xml",
        ],
        &[],
    );
    for word in ["--otlp-endpoint", "from 0 to 1", "text or json"] {
        assert!(told.contains(word), "{word} is not in {told}");
    }
    assert!(!told.contains("s3cr3t"), "{told}");
    let told = faults(&["--otlp-headers-file", "x"], &[]);
    assert!(told.contains("--otlp-endpoint"), "{told}");
}

#[test]
fn the_log_is_for_people_unless_it_is_said_otherwise() {
    assert_eq!(config(&[], &[]).log.format, LogFormat::Text);
    let json = config(&[], &[("MCP_V8_LOG_FORMAT", "JSON")]);
    assert_eq!(json.log.format, LogFormat::Json);
}

#[test]
fn effective_settings_name_their_origins_and_hide_secrets() {
    let config = config(
        &[
            "--policy-dir",
            "p",
            "--fetch-header",
            "host=a.example,header=x-key,value=s3cr3t",
        ],
        &[("MCP_V8_EXECUTION_TIMEOUT", "7")],
    );
    let all = effective(&config.said);
    assert_eq!(all.len(), Setting::ALL.len());
    let shown: Vec<String> = all.iter().map(ToString::to_string).collect();
    let shown = shown.join("\n");
    assert!(!shown.contains("s3cr3t"), "{shown}");
    for line in [
        "execution-timeout = \"7\"  (MCP_V8_EXECUTION_TIMEOUT (environment))",
        "policy-dir = \"p\"  (--policy-dir)",
        "sandbox = required  (default)",
    ] {
        assert!(shown.lines().any(|is| is == line), "{line}: {shown}");
    }
}
