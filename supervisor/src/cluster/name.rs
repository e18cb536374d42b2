//! What nodes are called, and where they are.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use crate::limits::{NODE_ADDRESS_BYTES_MAX, NODE_NAME_BYTES_MAX};

/// What an operator calls a node. It can stand in a certificate: lower case, because those who read
/// names there do not tell capitals apart, and two nodes must never pass for each other.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeName(String);

/// Where others reach a node: a host and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    host: String,
    port: u16,
}

/// A node that an operator lists, by its address and perhaps its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// What it has to be called; none takes whatever answers there.
    pub name: Option<NodeName>,
    /// Where it is.
    pub address: Address,
}

/// Why a text names no node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It cannot be the name of a node.
    #[error(
        "a node's name has 1 to {NODE_NAME_BYTES_MAX} of a-z, 0-9, '.', '-' and '_', and begins and \
         ends with a letter or a digit"
    )]
    Name,
    /// It is no address.
    #[error(
        "an address is host:port, such as 10.0.0.2:4000, node2.internal:4000 or [fd00::2]:4000"
    )]
    Address,
}

impl NodeName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for NodeName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let bytes = text.as_bytes();
        let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
            return Err(NameError::Name);
        };
        let is_name = bytes.len() <= NODE_NAME_BYTES_MAX
            && is_plain(*first)
            && is_plain(*last)
            && bytes
                .iter()
                .all(|byte| is_plain(*byte) || b".-_".contains(byte));
        is_name
            .then(|| Self(text.to_owned()))
            .ok_or(NameError::Name)
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Address {
    /// A node's name as its host.
    pub fn of(name: &NodeName, port: u16) -> Self {
        Self {
            host: name.0.clone(),
            port,
        }
    }

    /// Where this machine reaches what listens here.
    pub fn of_this_machine(listening: SocketAddr) -> Self {
        let host = match listening.ip() {
            ip if !ip.is_unspecified() => ip,
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        Self {
            host: host.to_string(),
            port: listening.port(),
        }
    }

    /// The host, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for Address {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (host, port) = text.rsplit_once(':').ok_or(NameError::Address)?;
        let port = port.parse().ok().filter(|port| *port != 0);
        let port = port.filter(|_| text.len() <= NODE_ADDRESS_BYTES_MAX);
        let host = match host.strip_prefix('[') {
            Some(rest) => rest
                .strip_suffix(']')
                .filter(|host| host.parse::<Ipv6Addr>().is_ok()),
            None => {
                let is_of_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
                Some(host).filter(|host| !host.is_empty() && host.bytes().all(is_of_host))
            }
        };
        match (host, port) {
            (Some(host), Some(port)) => Ok(Self {
                host: host.to_owned(),
                port,
            }),
            _ => Err(NameError::Address),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for Listed {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (name, address) = match text.split_once('@') {
            Some((name, address)) => (Some(name.parse()?), address),
            None => (None, text),
        };
        Ok(Self {
            name,
            address: address.parse()?,
        })
    }
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name}@{}", self.address),
            None => self.address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_stand_in_a_certificate() {
        for good in ["node1", "a", "eu-1.example.com", "n_2"] {
            assert_eq!(good.parse::<NodeName>().unwrap().as_str(), good);
        }
        let long = "a".repeat(NODE_NAME_BYTES_MAX + 1);
        for bad in ["", "Node1", "-a", "a.", "a b", "a@b", "ä", "a/b", &long] {
            assert_eq!(bad.parse::<NodeName>(), Err(NameError::Name), "{bad}");
        }
    }

    #[test]
    fn an_address_has_a_host_and_a_port() {
        for good in [
            "10.0.0.2:4000",
            "node2:1",
            "[fd00::2]:4000",
            "Host.example:65535",
        ] {
            assert_eq!(good.parse::<Address>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "node2",
            ":1",
            "node2:0",
            "node2:65536",
            "fd00::2:4000",
            "[fd00::2:4000",
            "[x]:1",
            "http://x:1",
            "a b:1",
            "x:-1",
            "x\n:1",
        ] {
            assert_eq!(bad.parse::<Address>(), Err(NameError::Address), "{bad}");
        }
    }

    #[test]
    fn who_is_listed_may_have_a_name() {
        for good in ["a@b:1", "b:1", "a@[::1]:1"] {
            assert_eq!(good.parse::<Listed>().unwrap().to_string(), good);
        }
        for bad in ["@b:1", "a@", "a@b", "a@b@c:1"] {
            assert!(bad.parse::<Listed>().is_err(), "{bad}");
        }
    }
}
