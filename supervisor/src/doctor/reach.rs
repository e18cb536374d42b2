//! What the configuration names: certificates, policies, headers, a bucket.

use std::time::{SystemTime, UNIX_EPOCH};

use super::report::Finding;
use crate::app::{HeapPlace, State, reach_heaps};
use crate::config::{Config, Transport};

const SECS_PER_DAY: u64 = 24 * 60 * 60;

/// A certificate that ends sooner is worth a word.
const DAYS_WANTED: u64 = 21;

/// The server's certificate.
pub(super) fn certificate(config: &Config) -> Vec<Finding> {
    let subject = "certificate";
    let Transport::Http(http) = &config.transport else {
        return Vec::new();
    };
    let Some(files) = &http.tls else {
        return Vec::new();
    };
    let validity = match files.validity() {
        Ok(validity) => validity,
        Err(error) => {
            return vec![Finding::fail(
                subject,
                error.to_string(),
                "name a certificate and its key, both as PEM",
            )];
        }
    };
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let days = validity.until_secs.saturating_sub(now) / SECS_PER_DAY;
    let finding = if now < validity.from_secs {
        Finding::fail(subject, "it is not valid yet", "check the clock, or wait")
    } else if now >= validity.until_secs {
        Finding::fail(
            subject,
            "it has expired",
            "renew it: it is read again by itself",
        )
    } else if days < DAYS_WANTED {
        let found = format!("it is valid for {days} days more");
        Finding::warn(subject, found, "renew it: it is read again by itself")
    } else {
        Finding::ok(subject, format!("it is valid for {days} days more"))
    };
    vec![finding]
}

/// The file of tokens, and the keys of who signs them.
pub(super) async fn callers(config: &Config) -> Vec<Finding> {
    let Transport::Http(http) = &config.transport else {
        return Vec::new();
    };
    let Some(auth) = &http.auth else {
        return Vec::new();
    };
    let tokens = auth.read_tokens().map(|read| match read {
        Ok(listed) => Finding::ok(
            "tokens",
            format!(
                "{} are listed; {} tenants have limits of their own",
                listed.tokens, listed.limited_tenants
            ),
        ),
        Err(error) => Finding::fail("tokens", error.to_string(), "mend the file"),
    });
    let keys = auth.read_keys().await.map(|read| match read {
        Ok(count) => Finding::ok("issuer", format!("it has {count} keys for signatures")),
        // The start is not refused: they may come later.
        Err(error) if !auth.keys_are_in_a_file() => Finding::warn(
            "issuer",
            error.to_string(),
            "signed tokens let nobody in until it answers: check --jwks-url",
        ),
        Err(error) => Finding::fail("issuer", error.to_string(), "mend the file of --jwks-file"),
    });
    tokens.into_iter().chain(keys).collect()
}

/// Where traces go.
pub(super) fn traces(config: &Config) -> Vec<Finding> {
    let subject = "traces";
    let Some(options) = &config.traces else {
        return Vec::new();
    };
    vec![match options.headers() {
        Ok(headers) => Finding::ok(
            subject,
            format!(
                "sent to {}, with {} headers",
                options.endpoint,
                headers.len()
            ),
        ),
        Err(error) => Finding::fail(subject, error.to_string(), "mend the file"),
    }]
}

/// The policies for requests of scripts, and the headers that these get.
pub(super) async fn policies(config: &Config) -> Vec<Finding> {
    let subject = "policies";
    let Some(fetch) = &config.fetch else {
        return vec![Finding::ok(subject, "none: scripts make no requests")];
    };
    vec![match fetch.clone().open().await {
        Ok(_) => Finding::ok(subject, "they load, and so do the rules for headers"),
        Err(error) => Finding::fail(
            subject,
            error.to_string(),
            "mcp-v8 policy check shows what a policy says to a request",
        ),
    }]
}

/// The bucket, where heaps are kept in one.
pub(super) async fn bucket(config: &Config) -> Vec<Finding> {
    let subject = "S3";
    let State::Stateful { heaps, .. } = &config.executions.state else {
        return Vec::new();
    };
    let HeapPlace::S3 { bucket, .. } = &heaps.place else {
        return Vec::new();
    };
    vec![match reach_heaps(&heaps.place).await {
        Ok(()) => Finding::ok(
            subject,
            format!("the bucket {bucket} takes a heap, gives it back and removes it"),
        ),
        Err(error) => Finding::fail(
            subject,
            format!("the bucket {bucket} cannot be used: {error}"),
            "check its name, AWS_REGION, AWS_ENDPOINT_URL and the credentials",
        ),
    }]
}
