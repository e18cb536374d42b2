//! Which headers a request gets on its way out, that its script never sees.

use http::{HeaderMap, Method};
use url::Url;

/// The rules of this server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Injection {}

/// A rule applies, and its value cannot be had. The text names rule and host, never a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the header {header} for {host} cannot be had: {why}")]
pub struct NoValue {
    /// The header's name.
    pub header: String,
    /// The host of the request.
    pub host: String,
    /// Why, without a secret.
    pub why: String,
}

impl Injection {
    /// What the rules say for a request. Values are marked as sensitive. The script's own headers win,
    /// which the caller sees to.
    ///
    /// # Errors
    /// [`NoValue`] when a rule applies and its value cannot be had.
    pub async fn headers_for(&self, method: &Method, url: &Url) -> Result<HeaderMap, NoValue> {
        let _ = (method, url);
        Ok(HeaderMap::new())
    }
}
