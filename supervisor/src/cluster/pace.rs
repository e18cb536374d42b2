//! How fast connections may come from one address. Whoever connects makes this node work before it has
//! shown who it is: to agree on TLS takes most of that.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Instant;

use crate::limits::{PEER_CONNECT_PAUSE, PEER_CONNECTS_AT_ONCE, PEER_SOURCES_MAX};

/// Where a connection comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Source {
    V4(u32),
    /// The first half: who has one address of a network has all of it.
    V6(u64),
    /// All of those for whom there is no room.
    Others,
}

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            // The upper half of 128 bits has 64.
            IpAddr::V6(address) => Self::V6((address.to_bits() >> 64) as u64),
        }
    }
}

/// For each address the moment from which on it may do all at once again. Who has come at its pace for long
/// has that behind it, and is forgotten.
#[derive(Debug, Default)]
pub(super) struct Pace(HashMap<Source, Instant>);

impl Pace {
    /// Whether one more may come from there now.
    pub(super) fn admits(&mut self, from: IpAddr, now: Instant) -> bool {
        let source = self.source(from, now);
        let rested = self.0.entry(source).or_insert(now);
        let most = PEER_CONNECT_PAUSE * PEER_CONNECTS_AT_ONCE;
        let next = (*rested).max(now) + PEER_CONNECT_PAUSE;
        let is_admitted = next.duration_since(now) <= most;
        if is_admitted {
            *rested = next;
        }
        is_admitted
    }

    fn source(&mut self, from: IpAddr, now: Instant) -> Source {
        let source = Source::from(from);
        if self.0.len() < PEER_SOURCES_MAX || self.0.contains_key(&source) {
            return source;
        }
        self.0.retain(|_, rested| *rested > now);
        if self.0.len() < PEER_SOURCES_MAX {
            source
        } else {
            Source::Others
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn v4(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(number).into()
    }

    /// How many of so many at once are admitted.
    fn admitted(pace: &mut Pace, from: IpAddr, now: Instant) -> u32 {
        let tried = (0..2 * PEER_CONNECTS_AT_ONCE).filter(|_| pace.admits(from, now));
        u32::try_from(tried.count()).unwrap()
    }

    #[test]
    fn who_comes_too_fast_is_held_up_and_nobody_else() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        assert_eq!(admitted(&mut pace, v4(1), now), PEER_CONNECTS_AT_ONCE);
        assert!(pace.admits(v4(2), now));
        let mapped = Ipv4Addr::from_bits(1).to_ipv6_mapped();
        assert!(!pace.admits(mapped.into(), now), "it is the same");
        let later = now + 3 * PEER_CONNECT_PAUSE;
        assert_eq!(admitted(&mut pace, v4(1), later), 3);
        let rested = later + PEER_CONNECTS_AT_ONCE * PEER_CONNECT_PAUSE;
        assert_eq!(admitted(&mut pace, v4(1), rested), PEER_CONNECTS_AT_ONCE);
    }

    #[test]
    fn a_network_is_one_source() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        let of = |network: u128, host: u128| {
            IpAddr::from(Ipv6Addr::from_bits(
                (0x2001_0db8 << 96) | (network << 64) | host,
            ))
        };
        let hosts = u128::from(PEER_CONNECTS_AT_ONCE);
        assert!((0..hosts).all(|host| pace.admits(of(1, host), now)));
        assert!(!pace.admits(of(1, 7 << 40), now));
        assert!(pace.admits(of(2, 0), now));
    }

    #[test]
    fn many_addresses_take_a_bounded_place_and_keep_no_known_one_out() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        pace.admits(v4(0), now);
        let strangers = 1..3 * u32::try_from(PEER_SOURCES_MAX).unwrap();
        let admitted = strangers
            .filter(|number| pace.admits(v4(*number), now))
            .count();
        assert!(admitted < PEER_SOURCES_MAX + PEER_CONNECTS_AT_ONCE as usize);
        assert!(pace.0.len() <= PEER_SOURCES_MAX + 1);
        assert!(pace.admits(v4(0), now));
        // Those who have gone make room.
        let later = now + 2 * PEER_CONNECTS_AT_ONCE * PEER_CONNECT_PAUSE;
        assert!(pace.admits(v4(u32::MAX), later));
        assert_eq!(pace.0.len(), 1);
    }

    proptest! {
        #[test]
        fn never_more_than_all_at_once_and_the_pace(
            waits in prop::collection::vec(0_u64..40_000, 1..3000),
        ) {
            let (mut pace, begin) = (Pace::default(), Instant::now());
            let (mut now, mut admitted) = (begin, 0);
            for wait in waits {
                now += Duration::from_micros(wait);
                admitted += u32::from(pace.admits(v4(1), now));
            }
            let paced = now.duration_since(begin).as_micros() / PEER_CONNECT_PAUSE.as_micros();
            prop_assert!(u128::from(admitted) <= u128::from(PEER_CONNECTS_AT_ONCE) + paced + 1);
        }
    }
}
