//! Any packets of a fork server are messages or an error; never a panic, and what is read encodes to
//! the very bytes that it was read from. The ledger lets a worker be answered for once, in turn, and
//! end once.
//!
//! The input is packets, each behind a byte that says its length; one of length 0 is the supervisor's
//! wish for a fork, where there is room.

#![no_main]

use std::collections::{BTreeSet, VecDeque};

use libfuzzer_sys::fuzz_target;
use mcp_v8_protocol::codec::{decode_payload, encode_payload};
use mcp_v8_protocol::zygote::{
    Exited, FORKS_ASKED_MAX, Fork, Forked, FromZygote, Ledger, Refused, ToZygote,
};

fuzz_target!(|input: &[u8]| {
    let mut rest = input;
    let mut books = Books::default();
    while let Some((length, more)) = rest.split_first() {
        let (packet, more) = more.split_at(usize::from(*length).min(more.len()));
        rest = more;
        if packet.is_empty() {
            books.ask();
            continue;
        }
        let Ok(message) = decode_payload::<FromZygote>(packet) else {
            return;
        };
        let again = encode_payload(&message).expect("a message that was read can be written");
        assert_eq!(packet, again);
        if !books.hear(&message) {
            return;
        }
    }
});

/// The ledger, and beside it the same in plain words.
#[derive(Default)]
struct Books {
    ledger: Ledger,
    has_hello: bool,
    asked: VecDeque<u64>,
    living: BTreeSet<u64>,
}

impl Books {
    fn ask(&mut self) {
        let worker = self.ledger.next_worker();
        let is_legal = self.has_hello && self.asked.len() < FORKS_ASKED_MAX;
        let wish = ToZygote::Fork(Fork { worker });
        assert_eq!(self.ledger.on_to_zygote(&wish).is_ok(), is_legal);
        if is_legal {
            self.asked.push_back(worker);
        }
    }

    fn hear(&mut self, message: &FromZygote) -> bool {
        let is_legal = match message {
            FromZygote::Hello(_) => !self.has_hello,
            FromZygote::Forked(Forked { worker }) | FromZygote::Refused(Refused { worker, .. }) => {
                self.asked.front() == Some(worker)
            }
            FromZygote::Exited(Exited { worker, .. }) => self.living.contains(worker),
        };
        assert_eq!(
            self.ledger.on_from_zygote(message).is_ok(),
            is_legal,
            "{message:?}"
        );
        match *message {
            _ if !is_legal => return false,
            FromZygote::Hello(_) => self.has_hello = true,
            FromZygote::Forked(Forked { worker }) => {
                self.asked.pop_front();
                self.living.insert(worker);
            }
            FromZygote::Refused(_) => drop(self.asked.pop_front()),
            FromZygote::Exited(Exited { worker, .. }) => drop(self.living.remove(&worker)),
        }
        assert_eq!(self.ledger.asked(), self.asked.len());
        assert_eq!(self.ledger.living(), self.living.len());
        true
    }
}
