//! The hosts that a rule is for.

use std::fmt;

use url::{Host, Url};

/// One host, or a domain with all that is beneath it. Capitals and small letters are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostPattern {
    /// As a URL has it.
    host: String,
    is_wide: bool,
}

/// A text that names no hosts. It is not shown: by a slip it may hold a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// It is none.
    #[error(
        "the host is not a name, an address or *.name, without scheme, port and path, as \
         api.example.com or *.example.com"
    )]
    Malformed,
    /// It is all of them.
    #[error("a host of * would give the header to every server; name those that may have it")]
    Everywhere,
}

impl HostPattern {
    /// Reads `api.example.com`, `*.example.com`, `127.0.0.1` or `[::1]`.
    pub(super) fn parse(text: &str) -> Result<Self, HostError> {
        let (is_wide, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None if text == "*" => return Err(HostError::Everywhere),
            None => (false, text),
        };
        let malformed = |_| HostError::Malformed;
        let host = match Host::parse(name).map_err(malformed)? {
            Host::Domain(name) => name.strip_suffix('.').unwrap_or(&name).to_owned(),
            _ if is_wide => return Err(HostError::Malformed),
            address => address.to_string(),
        };
        if host.is_empty() || host.contains('*') {
            return Err(HostError::Malformed);
        }
        Ok(Self { host, is_wide })
    }

    /// Whether a URL leads there. A name with a dot at its end is another one.
    pub(super) fn fits(&self, url: &Url) -> bool {
        let Some(host) = url.host_str() else {
            return false;
        };
        let Some(beneath) = host.strip_suffix(&self.host) else {
            return false;
        };
        beneath.is_empty() || (self.is_wide && beneath.ends_with('.'))
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.is_wide { "*." } else { "" };
        write!(f, "{star}{}", self.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, url: &str) -> bool {
        let pattern = HostPattern::parse(pattern).unwrap();
        pattern.fits(&Url::parse(url).unwrap())
    }

    #[test]
    fn a_host_is_that_one_only_and_a_star_is_all_beneath_and_the_domain_itself() {
        for (pattern, url) in [
            ("api.example.com", "https://api.example.com/x"),
            ("API.Example.com", "http://api.EXAMPLE.com:8080/"),
            ("*.example.com", "https://api.example.com/"),
            ("*.example.com", "https://a.b.example.com/"),
            ("*.EXAMPLE.com", "https://example.com/"),
            ("b\u{fc}cher.example", "https://xn--bcher-kva.example/"),
            ("127.0.0.1", "http://127.1/"),
            ("[::1]", "http://[0:0::1]:80/"),
            ("example.com.", "http://example.com/"),
        ] {
            assert!(fits(pattern, url), "{pattern} {url}");
        }
        for (pattern, url) in [
            ("example.com", "https://api.example.com/"),
            ("example.com", "https://notexample.com/"),
            ("example.com", "https://example.com.evil.test/"),
            ("example.com", "https://example.com./"),
            ("example.com", "https://evil.test/example.com"),
            ("example.com", "https://example.com@evil.test/"),
            ("*.example.com", "https://notexample.com/"),
            ("*.example.com", "https://example.com.evil.test/"),
            ("*.example.com", "https://example.co/"),
            ("example.com", "data:,example.com"),
        ] {
            assert!(!fits(pattern, url), "{pattern} {url}");
        }
    }

    #[test]
    fn what_names_no_host_is_refused() {
        for text in [
            "",
            ".",
            "*.",
            "https://example.com",
            "example.com:443",
            "example.com/x",
            "a b",
            "*.*.example.com",
            "api.*.com",
            "*example.com",
            "*.127.0.0.1",
            "*.[::1]",
            "user@example.com",
        ] {
            assert_eq!(
                HostPattern::parse(text),
                Err(HostError::Malformed),
                "{text}"
            );
        }
        assert_eq!(HostPattern::parse("*"), Err(HostError::Everywhere));
    }
}
