//! The figures: what is counted, and that docs/metrics.md names them all and none besides.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use e2e::home::Home;
use e2e::http::{Client, HttpServer};
use e2e::processes;
use e2e::server::PATIENCE;
use e2e::web::Web;
use serde_json::json;

/// A family: its type and its help.
type Families = BTreeMap<String, (String, String)>;

/// What the server says of its figures.
fn families(text: &str) -> Families {
    let mut families = Families::new();
    for line in text.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|l| l.split_once(' ')) {
            families.entry(name.to_owned()).or_default().0 = kind.to_owned();
        }
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|l| l.split_once(' ')) {
            // The library ends some of them, and not others.
            let help = help.trim_end_matches('.').to_owned();
            families.entry(name.to_owned()).or_default().1 = help;
        }
    }
    families
}

/// The value of one series.
fn value(client: &Client, series: &str) -> f64 {
    let text = client.get("/metrics").body;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    let line = line.unwrap_or_else(|| panic!("no series {series} in:\n{text}"));
    line.parse().expect("a number")
}

/// Asserts that a series comes to a value.
fn comes_to(client: &Client, series: &str, wanted: f64) {
    let is_there = || value(client, series) == wanted;
    let came = processes::within(PATIENCE, is_there);
    assert!(
        came,
        "{series} is {} and not {wanted}",
        value(client, series)
    );
}

#[test]
fn the_documentation_names_every_figure_and_none_besides() {
    let home = Home::new();
    let server = HttpServer::start(&home, &[]);
    server.run("1");
    let shown = families(&server.get("/metrics").body);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let text = fs::read_to_string(path).expect("docs/metrics.md");
    let mut documented = Families::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        // Others are not about one figure.
        let [name, kind, _labels, help] = cells[..] else {
            continue;
        };
        let name = name.trim_matches('`').to_owned();
        let is_new = documented
            .insert(name, (kind.to_owned(), help.to_owned()))
            .is_none();
        assert!(is_new, "twice: {line}");
    }
    for (name, about) in &shown {
        assert_eq!(documented.get(name), Some(about), "{name}");
    }
    let unknown: Vec<_> = documented
        .keys()
        .filter(|name| !shown.contains_key(*name))
        .collect();
    assert!(unknown.is_empty(), "no such figures: {unknown:?}");
}

#[test]
fn an_execution_is_counted_in_every_phase_and_its_limits_by_name() {
    let home = Home::new();
    let server = HttpServer::start(&home, &[]);
    server.run("console.log('twelve bytes'); 1");
    let timed_out = json!({"code": "for (;;) {}", "execution_timeout_secs": 1, "wait_ms": 50_000});
    assert_eq!(
        server.post("/api/exec", &timed_out).json()["status"],
        "timed_out"
    );
    let failed = server.run("new Array(1e9).fill(0)");
    assert_eq!(failed["status"], "failed", "{failed}");
    for phase in ["queue", "worker", "run", "store"] {
        let series = format!("mcp_v8_execution_phase_seconds_count{{phase=\"{phase}\"}}");
        comes_to(&server, &series, 3.0);
    }
    comes_to(&server, "mcp_v8_execution_seconds_count", 3.0);
    comes_to(&server, "mcp_v8_executions_accepted_total", 3.0);
    comes_to(&server, "mcp_v8_execution_output_bytes_total", 13.0);
    for limit in ["execution_timeout", "memory"] {
        let series = format!("mcp_v8_limits_hit_total{{limit=\"{limit}\"}}");
        comes_to(&server, &series, 1.0);
    }
    comes_to(
        &server,
        "mcp_v8_tenant_executions_ended_total{tenant=\"local\"}",
        3.0,
    );
    assert!(value(&server, "mcp_v8_store_commit_seconds_count") >= 3.0);
    assert!(value(&server, "mcp_v8_store_database_bytes") > 0.0);
    assert!(value(&server, "mcp_v8_pool_forks_total") >= 3.0);
    assert_eq!(value(&server, "mcp_v8_pool_fork_server_up"), 1.0);
    assert!(value(&server, "mcp_v8_worker_cpu_milliseconds_total") > 100.0);
    assert!(value(&server, "process_resident_memory_bytes") > 1e6);
    assert!(value(&server, "process_open_fds") > 3.0);
    assert!(value(&server, "mcp_v8_uptime_seconds") > 0.0);
    // The run that had to be killed is in the buckets above a second.
    let run = "mcp_v8_execution_phase_seconds_bucket{le=\"1.0\",phase=\"run\"}";
    assert!(value(&server, run) <= 2.0);
}

#[test]
fn heaps_that_are_kept_and_found_are_counted() {
    let home = Home::new();
    let server = HttpServer::start(&home, &[]);
    let kept = server.run("globalThis.n = 1");
    let heap = kept["heap"].as_str().expect("a heap");
    let next = json!({"code": "n + 1", "heap": heap, "wait_ms": 50_000});
    assert_eq!(server.post("/api/exec", &next).json()["result"], "2");
    assert_eq!(value(&server, "mcp_v8_heaps_put_total"), 2.0);
    assert!(value(&server, "mcp_v8_heaps_put_bytes_total") > 1000.0);
    assert!(value(&server, "mcp_v8_heaps_fetched_total{in=\"memory\"}") >= 1.0);
}

#[test]
fn a_worker_that_dies_by_itself_is_counted_by_how() {
    let home = Home::new();
    let server = HttpServer::start(&home, &["--worker-start", "exec"]);
    let id = server.submit("for (;;) {}");
    let runs = || server.get(&format!("/api/executions/{id}")).json()["status"] == "running";
    assert!(processes::within(PATIENCE, runs));
    let workers = || {
        let started = home.processes().into_iter();
        let workers = started.filter(|entry| entry.subcommand == "serve");
        workers.map(|entry| entry.pid).collect::<Vec<_>>()
    };
    for worker in workers() {
        let pid = nix::unistd::Pid::from_raw(worker);
        let _gone = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
    }
    comes_to(&server, "mcp_v8_worker_deaths_total{class=\"killed\"}", 1.0);
}

#[test]
fn requests_of_scripts_and_what_policies_say_are_counted() {
    let (home, web) = (Home::new(), Web::start());
    let policies = home.path("policies");
    fs::create_dir(&policies).expect("a directory in our own");
    let policy = "package mcp.fetch\ndefault allow := false\n\
                  allow if { input.method == \"POST\" }\n";
    fs::write(policies.join("fetch.rego"), policy).expect("a file in our own directory");
    let fetch = ["--policy-dir", "policies", "--fetch-allow-private"];
    let server = HttpServer::start(&home, &fetch);
    let url = web.url("/echo");
    let code = format!("await (await fetch('{url}', {{method: 'POST', body: '12345'}})).text()");
    assert_eq!(server.run(&code)["result"], "12345");
    server.run(&format!("await fetch('{url}').catch(() => 'no')"));
    let one = |series: &str| comes_to(&server, series, 1.0);
    one("mcp_v8_policy_decisions_total{decision=\"allowed\"}");
    one("mcp_v8_policy_decisions_total{decision=\"denied\"}");
    one("mcp_v8_fetch_requests_total");
    one("mcp_v8_fetch_failures_total{kind=\"denied\"}");
    one("mcp_v8_fetch_head_seconds_count");
    comes_to(&server, "mcp_v8_policy_seconds_count", 2.0);
    comes_to(&server, "mcp_v8_fetch_sent_bytes_total", 5.0);
    comes_to(&server, "mcp_v8_fetch_received_bytes_total", 5.0);
    comes_to(&server, "mcp_v8_fetch_exchanges_open", 0.0);
}

#[test]
fn tenants_that_the_file_of_tokens_names_have_figures_of_their_own() {
    use crate::tenants_parts::{FIRST, OPERATOR, SECOND, token_file};
    let home = Home::new();
    let tokens = token_file(&home);
    let server = HttpServer::start(&home, &["--auth-tokens", &tokens]);
    let operator = server.with_token(OPERATOR);
    let of = |tenant: &str| format!("mcp_v8_tenant_executions_ended_total{{tenant=\"{tenant}\"}}");
    // From the start, so that the first is not missed by who looks at differences.
    for tenant in ["first", "second", "other"] {
        comes_to(&operator, &of(tenant), 0.0);
    }
    server.with_token(FIRST).run("1");
    server.with_token(FIRST).run("1");
    server.with_token(SECOND).run("1");
    comes_to(&operator, &of("first"), 2.0);
    comes_to(&operator, &of("second"), 1.0);
    comes_to(&operator, &of("other"), 0.0);
    assert!(!operator.get("/metrics").body.contains("tenant=\"local\""));
}
