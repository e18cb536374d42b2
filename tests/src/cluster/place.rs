//! Addresses that no other process takes: each process has a loopback address of its own, so that ports
//! can be chosen before anybody listens on them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};

/// The first port. All lie below those that systems give to outgoing connections.
const PORT_FIRST: u16 = 20_001;

static NEXT: AtomicU16 = AtomicU16::new(PORT_FIRST);

/// This process's own loopback address: its id is in it, which has 22 bits at most.
pub fn own_ip() -> IpAddr {
    let [_, high, middle, low] = ((1 << 23) | (std::process::id() << 1) | 1).to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(127, high, middle, low))
}

/// An address that nobody was given before.
pub fn reserve() -> SocketAddr {
    SocketAddr::new(own_ip(), NEXT.fetch_add(1, Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_own_ones_and_can_be_listened_on() {
        let (one, other) = (reserve(), reserve());
        assert_ne!(one, other);
        assert!(one.ip().is_loopback() && one.ip() != IpAddr::V4(Ipv4Addr::LOCALHOST));
        std::net::TcpListener::bind(one).unwrap();
    }
}
