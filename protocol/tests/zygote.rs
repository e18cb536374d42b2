//! The conversation with a fork server: bytes on the wire, and which message fits.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use mcp_v8_protocol::codec::{DecodeError, Message, decode_payload, encode_payload};
use mcp_v8_protocol::message::{Confinement, Hello};
use mcp_v8_protocol::mode::Mode;
use mcp_v8_protocol::zygote::{
    Ending, Exited, FORKS_ASKED_MAX, Fork, Forked, FromZygote, Ledger, Misfit, Refused, ToZygote,
    Usage, WORKERS_LIVING_MAX, ZYGOTE_PACKET_BYTES_MAX,
};
use proptest::prelude::*;

fn hello() -> FromZygote {
    FromZygote::Hello(Hello {
        protocol_version: 1,
        worker_version: "0.1.0".into(),
        v8_version: "15.0".into(),
        heap_build: String::new(),
        confinement: Confinement {
            landlock: true,
            ..Confinement::default()
        },
    })
}

fn exited(worker: u64, ending: Ending) -> FromZygote {
    FromZygote::Exited(Exited {
        worker,
        ending,
        usage: Usage {
            user_us: 1000,
            system_us: 2,
            resident_kib_max: 3,
        },
    })
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|byte| *byte != b' ').collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn is_golden<M: Message + PartialEq + std::fmt::Debug>(message: &M, hex: &str) {
    let payload = encode_payload(message).unwrap();
    assert_eq!(payload, bytes(hex), "{message:?}");
    assert_eq!(decode_payload::<M>(&payload).as_ref(), Ok(message));
}

#[test]
fn messages_have_their_golden_bytes() {
    is_golden(
        &ToZygote::Fork(Fork { worker: 7 }),
        "00000000 0700000000000000",
    );
    is_golden(
        &hello(),
        "00000000 01000000 0500000000000000 302e312e30 0400000000000000 31352e30 \
         0000000000000000 0001000000000000",
    );
    is_golden(
        &FromZygote::Forked(Forked { worker: 7 }),
        "01000000 0700000000000000",
    );
    is_golden(
        &FromZygote::Refused(Refused {
            worker: 7,
            errno: 11,
        }),
        "02000000 0700000000000000 0b000000",
    );
    is_golden(
        &exited(7, Ending::Code(86)),
        "03000000 0700000000000000 00000000 56 e803000000000000 0200000000000000 0300000000000000",
    );
    is_golden(
        &exited(7, Ending::Signal(9)),
        "03000000 0700000000000000 01000000 09 e803000000000000 0200000000000000 0300000000000000",
    );
}

/// The fuzzer's seeds: packets behind their lengths, a length of 0 for a wish. Run with
/// `MCP_V8_WRITE_SEEDS=1` to write them anew.
#[test]
fn the_seed_of_the_fuzzer_is_a_good_conversation() {
    let said = [
        Some(hello()),
        None,
        Some(FromZygote::Forked(Forked { worker: 0 })),
        None,
        Some(exited(0, Ending::Signal(31))),
        Some(FromZygote::Refused(Refused {
            worker: 1,
            errno: 11,
        })),
    ];
    let mut seed = Vec::new();
    for message in said {
        let packet = message.map_or(Vec::new(), |message| encode_payload(&message).unwrap());
        seed.push(u8::try_from(packet.len()).unwrap());
        seed.extend(packet);
    }
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/zygote");
    let file = folder.join("good");
    if std::env::var_os("MCP_V8_WRITE_SEEDS").is_some() {
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(&file, &seed).unwrap();
    }
    assert_eq!(std::fs::read(&file).unwrap(), seed);
}

#[test]
fn descriptors_are_counted_by_message() {
    let fork = ToZygote::Fork(Fork { worker: 7 });
    assert_eq!(fork.descriptors(Mode::Stateless), 3);
    assert_eq!(fork.descriptors(Mode::Stateful), 4);
    assert_eq!(FromZygote::Forked(Forked { worker: 0 }).descriptors(), 1);
    assert_eq!(hello().descriptors(), 0);
    assert_eq!(exited(0, Ending::Code(0)).descriptors(), 0);
    let refused = FromZygote::Refused(Refused {
        worker: 0,
        errno: 0,
    });
    assert_eq!(refused.descriptors(), 0);
}

#[test]
fn packets_above_the_limit_are_refused_unread() {
    let long = vec![0; ZYGOTE_PACKET_BYTES_MAX + 1];
    let refused = Err(DecodeError::FrameTooLong {
        bytes: long.len() as u64,
        limit: ZYGOTE_PACKET_BYTES_MAX,
    });
    assert_eq!(decode_payload::<FromZygote>(&long), refused);
    let wordy = FromZygote::Hello(Hello {
        protocol_version: 1,
        worker_version: "x".repeat(65),
        v8_version: String::new(),
        heap_build: String::new(),
        confinement: Confinement::default(),
    });
    assert!(matches!(
        encode_payload(&wordy),
        Err(DecodeError::TextTooLong {
            field: "Hello.worker_version",
            ..
        })
    ));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_one_message_or_an_error(
        payload in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..64),
            (0..5_u8, prop::collection::vec(any::<u8>(), 0..64))
                .prop_map(|(tag, rest)| [vec![tag, 0, 0, 0], rest].concat()),
        ],
    ) {
        if let Ok(message) = decode_payload::<ToZygote>(&payload) {
            prop_assert_eq!(encode_payload(&message).unwrap(), payload.clone());
        }
        if let Ok(message) = decode_payload::<FromZygote>(&payload) {
            prop_assert_eq!(encode_payload(&message).unwrap(), payload);
        }
    }

    #[test]
    fn a_payload_cut_short_or_with_more_behind_it_is_refused(
        worker in any::<u64>(),
        extra in 1..9_usize,
    ) {
        let message = exited(worker, Ending::Code(0));
        let whole = encode_payload(&message).unwrap();
        for end in 0..whole.len() {
            prop_assert_eq!(
                decode_payload::<FromZygote>(&whole[..end]),
                Err(DecodeError::Malformed { bytes: end })
            );
        }
        let mut long = whole;
        long.resize(long.len() + extra, 0);
        prop_assert_eq!(
            decode_payload::<FromZygote>(&long),
            Err(DecodeError::TrailingBytes { bytes: extra })
        );
    }
}

/// One message of each kind about one of a few workers.
#[derive(Debug, Clone, Copy)]
enum Said {
    Hello,
    Fork(u64),
    Forked(u64),
    Refused(u64),
    Exited(u64),
}

fn said() -> impl Strategy<Value = Said> {
    prop_oneof![
        1 => Just(Said::Hello),
        4 => (0..4_u64).prop_map(Said::Fork),
        4 => (0..4_u64).prop_map(Said::Forked),
        1 => (0..4_u64).prop_map(Said::Refused),
        3 => (0..4_u64).prop_map(Said::Exited),
    ]
}

fn enter(ledger: &mut Ledger, said: Said) -> Result<(), Misfit> {
    match said {
        Said::Hello => ledger.on_from_zygote(&hello()),
        Said::Fork(worker) => ledger.on_to_zygote(&ToZygote::Fork(Fork { worker })),
        Said::Forked(worker) => ledger.on_from_zygote(&FromZygote::Forked(Forked { worker })),
        Said::Refused(worker) => {
            ledger.on_from_zygote(&FromZygote::Refused(Refused { worker, errno: 1 }))
        }
        Said::Exited(worker) => ledger.on_from_zygote(&exited(worker, Ending::Code(0))),
    }
}

/// The rules, written down a second time, over the whole history.
fn fits(history: &[Said], said: Said) -> bool {
    let count = |wanted: &dyn Fn(&Said) -> bool| history.iter().filter(|said| wanted(said)).count();
    let has_hello = count(&|said| matches!(said, Said::Hello)) > 0;
    let forks = count(&|said| matches!(said, Said::Fork(_)));
    let answers = count(&|said| matches!(said, Said::Forked(_) | Said::Refused(_)));
    match said {
        Said::Hello => !has_hello,
        Said::Fork(worker) => has_hello && worker == forks as u64,
        Said::Forked(worker) | Said::Refused(worker) => {
            has_hello && answers < forks && worker == answers as u64
        }
        Said::Exited(worker) => {
            count(&|said| matches!(said, Said::Forked(w) if *w == worker)) == 1
                && count(&|said| matches!(said, Said::Exited(w) if *w == worker)) == 0
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5_000, ..ProptestConfig::default() })]

    #[test]
    fn the_ledger_takes_exactly_what_fits(stream in prop::collection::vec(said(), 0..60)) {
        let mut ledger = Ledger::default();
        let mut history = Vec::new();
        for said in stream {
            let before = ledger.clone();
            let entered = enter(&mut ledger, said);
            prop_assert_eq!(entered.is_ok(), fits(&history, said), "{:?} after {:?}", said, history);
            if entered.is_ok() {
                history.push(said);
            } else {
                prop_assert_eq!(&ledger, &before, "a misfit changes nothing");
            }
        }
    }
}

#[test]
fn what_is_asked_and_who_lives_is_bounded() {
    let mut ledger = Ledger::default();
    let fork = |ledger: &mut Ledger| {
        let worker = ledger.next_worker();
        ledger.on_to_zygote(&ToZygote::Fork(Fork { worker }))
    };
    assert!(!ledger.has_room());
    ledger.on_from_zygote(&hello()).unwrap();
    for _ in 0..FORKS_ASKED_MAX {
        assert!(ledger.has_room());
        fork(&mut ledger).unwrap();
    }
    assert!(!ledger.has_room());
    let too_many = Misfit::TooMany {
        asked: FORKS_ASKED_MAX,
        living: 0,
    };
    assert_eq!(fork(&mut ledger), Err(too_many));

    let mut ledger = Ledger::default();
    ledger.on_from_zygote(&hello()).unwrap();
    for worker in 0..WORKERS_LIVING_MAX as u64 {
        fork(&mut ledger).unwrap();
        ledger
            .on_from_zygote(&FromZygote::Forked(Forked { worker }))
            .unwrap();
    }
    assert!(fork(&mut ledger).is_err());
    ledger
        .on_from_zygote(&exited(5, Ending::Signal(9)))
        .unwrap();
    assert_eq!(ledger.living(), WORKERS_LIVING_MAX - 1);
    fork(&mut ledger).unwrap();
}

#[test]
fn a_misfit_says_what_is_wrong() {
    let mut ledger = Ledger::default();
    let fork = ToZygote::Fork(Fork { worker: 0 });
    assert_eq!(
        ledger.on_to_zygote(&fork).unwrap_err().to_string(),
        "Fork is not legal before Hello"
    );
    ledger.on_from_zygote(&hello()).unwrap();
    assert_eq!(
        ledger.on_from_zygote(&hello()).unwrap_err().to_string(),
        "Hello is not legal after Hello"
    );
    let stray = exited(3, Ending::Code(0));
    assert_eq!(
        ledger.on_from_zygote(&stray).unwrap_err().to_string(),
        "Exited is about worker 3, whose turn it is not"
    );
}
