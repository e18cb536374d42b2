//! Over which connections the headers of a rule may go: unless it says so, only where nobody reads along.

use url::{Host, Url};

use super::rule::RuleError;

/// The schemes and ports that a rule is for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ways {
    schemes: Schemes,
    /// None: all.
    ports: Option<Vec<u16>>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Schemes {
    /// `https`, and `http` to this machine itself.
    #[default]
    Unread,
    Only(Vec<&'static str>),
}

/// What a rule may name.
const SCHEMES: [&str; 2] = ["http", "https"];

impl Ways {
    /// These schemes only.
    pub(super) fn with_schemes<'a>(
        self,
        names: impl Iterator<Item = &'a str>,
    ) -> Result<Self, RuleError> {
        let scheme = |name: &str| {
            let known = SCHEMES.into_iter();
            let mut known = known.filter(|known| known.eq_ignore_ascii_case(name.trim()));
            known.next().ok_or(RuleError::Scheme)
        };
        let schemes = names.map(scheme).collect::<Result<Vec<_>, _>>()?;
        if schemes.is_empty() {
            return Err(RuleError::Scheme);
        }
        Ok(Self {
            schemes: Schemes::Only(schemes),
            ..self
        })
    }

    /// These ports only.
    pub(super) fn with_ports(
        self,
        ports: impl Iterator<Item = Option<u16>>,
    ) -> Result<Self, RuleError> {
        let ports = ports.collect::<Option<Vec<_>>>();
        let ports = ports.filter(|ports| !ports.is_empty() && !ports.contains(&0));
        Ok(Self {
            ports: Some(ports.ok_or(RuleError::Port)?),
            ..self
        })
    }

    pub(super) fn fit(&self, url: &Url) -> bool {
        let is_scheme = match &self.schemes {
            Schemes::Unread => url.scheme() == "https" || is_here(url),
            Schemes::Only(schemes) => schemes.contains(&url.scheme()),
        };
        let port = url.port_or_known_default();
        let is_port = |ports: &Vec<u16>| port.is_some_and(|port| ports.contains(&port));
        is_scheme && self.ports.as_ref().is_none_or(is_port)
    }

    /// Whether they lead through networks that others can read.
    pub(super) fn are_read(&self) -> bool {
        matches!(&self.schemes, Schemes::Only(schemes) if schemes.contains(&"http"))
    }
}

/// Whether a URL leads to this machine, where requests go only if private addresses are allowed.
fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(ways: &Ways, url: &str) -> bool {
        ways.fit(&Url::parse(url).unwrap())
    }

    #[test]
    fn what_says_nothing_goes_where_nobody_reads_along() {
        let ways = Ways::default();
        assert!(!ways.are_read());
        for url in [
            "https://a.test/",
            "https://a.test:8443/",
            "http://127.0.0.1:8080/",
            "http://127.9.9.9/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://LocalHost:1/",
        ] {
            assert!(fit(&ways, url), "{url}");
        }
        for url in [
            "http://a.test/",
            "http://a.test:443/",
            "http://10.0.0.1/",
            "http://localhost.a.test/",
            "http://localhost./",
            "http://[::2]/",
            "ftp://127.0.0.1.a.test/",
        ] {
            assert!(!fit(&ways, url), "{url}");
        }
    }

    #[test]
    fn what_is_named_is_all_that_fits() {
        let http = Ways::default().with_schemes(["HTTP"].into_iter()).unwrap();
        assert!(http.are_read());
        assert!(fit(&http, "http://a.test/") && !fit(&http, "https://a.test/"));
        let ports = [Some(443), Some(8443)].into_iter();
        let ports = Ways::default().with_ports(ports).unwrap();
        assert!(fit(&ports, "https://a.test/") && fit(&ports, "https://a.test:8443/"));
        assert!(!fit(&ports, "https://a.test:9/") && !fit(&ports, "http://a.test:443/"));
    }
}
