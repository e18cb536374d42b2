//! The files of the console, as they lie in `supervisor/console/`.

use std::sync::LazyLock;

use axum::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

/// Bytes of a content's hash that tell it from others: enough for files that nobody forges.
const TAG_BYTES: usize = 16;

/// A file, as it is sent.
pub(super) struct File {
    pub(super) name: &'static str,
    /// Its content type.
    pub(super) kind: &'static str,
    pub(super) content: &'static [u8],
    tag: LazyLock<HeaderValue>,
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

/// A file of `supervisor/console/` of this type.
macro_rules! file {
    ($name:literal, $kind:expr) => {{
        const CONTENT: &[u8] = include_bytes!(concat!("../../../console/", $name));
        File {
            name: $name,
            kind: $kind,
            content: CONTENT,
            tag: LazyLock::new(|| tag(CONTENT)),
        }
    }};
}

/// What is at `/console` itself.
pub(super) static PAGE: File = file!("index.html", HTML);

/// What is beneath it.
pub(super) static FILES: [File; 14] = [
    file!("api.js", JAVASCRIPT),
    file!("console.css", CSS),
    file!("dom.js", JAVASCRIPT),
    file!("events.js", JAVASCRIPT),
    file!("execution.js", JAVASCRIPT),
    file!("executions.js", JAVASCRIPT),
    file!("graph.js", JAVASCRIPT),
    file!("icon.svg", PICTURE),
    file!("main.js", JAVASCRIPT),
    file!("output.js", JAVASCRIPT),
    file!("run.js", JAVASCRIPT),
    file!("sessions.js", JAVASCRIPT),
    file!("source.js", JAVASCRIPT),
    file!("text.js", JAVASCRIPT),
];

impl File {
    /// The one of this name beneath `/console`.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        FILES.iter().find(|file| file.name == name)
    }

    /// What tells this content from any other.
    pub(super) fn tag(&self) -> &HeaderValue {
        &self.tag
    }
}

fn tag(content: &[u8]) -> HeaderValue {
    let hash = Sha256::digest(content);
    let text = format!("\"{}\"", URL_SAFE_NO_PAD.encode(&hash[..TAG_BYTES]));
    // The alphabet has nothing that a header may not have.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("\"\""))
}
