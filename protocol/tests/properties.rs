//! What holds for every message, every cut of a stream and every string of bytes.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use mcp_v8_protocol::codec::{DecodeError, FrameReader, Message, decode_payload, encode};
use mcp_v8_protocol::fetch::{
    CallStep, FetchCall, FetchReply, Header, Redirect, ReplyStep, Request, RequestBody, Response,
};
use mcp_v8_protocol::limits;
use mcp_v8_protocol::message::{
    Completion, Confinement, Console, ExecutionLimits, Failure, FailureKind, Finished, FromWorker,
    Grants, HeapUse, Hello, Saved, Start, Text, ToWorker, Unsaved,
};
use mcp_v8_protocol::phase::Phase;
use proptest::prelude::*;
use proptest::sample::Index;

/// Texts of all sizes up to a limit, of characters of all widths.
fn text_up_to(bytes_max: usize) -> impl Strategy<Value = String> {
    let short = "\\PC{0,40}";
    let long = (any::<char>(), 0..=bytes_max)
        .prop_map(move |(c, bytes)| c.to_string().repeat(bytes / c.len_utf8()));
    prop_oneof![4 => short.prop_map(String::from), 1 => long]
        .prop_map(move |text| Text::cut(text, bytes_max).text)
}

fn cut_text(bytes_max: usize) -> impl Strategy<Value = Text> {
    (text_up_to(bytes_max), any::<bool>()).prop_map(|(text, truncated)| Text { text, truncated })
}

fn to_worker() -> impl Strategy<Value = ToWorker> {
    prop_oneof![start(), fetch_reply()]
}

fn start() -> impl Strategy<Value = ToWorker> {
    let source = text_up_to(limits::SOURCE_BYTES_MAX);
    (source, any::<(u64, u64, u32, u64, bool)>(), heap_use()).prop_map(
        |(source, (heap_bytes, buffer_bytes, cpu_seconds, snapshot_bytes, fetch), heap)| {
            ToWorker::Start(Start {
                source,
                limits: ExecutionLimits {
                    heap_bytes,
                    buffer_bytes,
                    cpu_seconds,
                    snapshot_bytes,
                },
                heap,
                grants: Grants { fetch },
            })
        },
    )
}

/// A piece of a body, of all sizes up to its limit.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let long =
        (any::<u8>(), 1..=limits::BODY_CHUNK_BYTES_MAX).prop_map(|(byte, bytes)| vec![byte; bytes]);
    prop_oneof![4 => prop::collection::vec(any::<u8>(), 1..40), 1 => long]
}

/// As many header lines as there may be; short ones take far more in memory than in a frame.
fn headers() -> impl Strategy<Value = Vec<Header>> {
    let bytes_max = limits::HEADERS_BYTES_MAX / limits::HEADERS_MAX / 2;
    let value = prop::collection::vec(any::<u8>(), 0..=bytes_max);
    let header = (text_up_to(bytes_max), value).prop_map(|(name, value)| Header { name, value });
    let empty = Header {
        name: String::new(),
        value: Vec::new(),
    };
    prop_oneof![
        4 => prop::collection::vec(header, 0..4),
        1 => (0..=limits::HEADERS_MAX).prop_map(move |lines| vec![empty.clone(); lines]),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    let redirect = prop_oneof![
        Just(Redirect::Follow),
        Just(Redirect::Manual),
        Just(Redirect::Error)
    ];
    let body = prop_oneof![
        Just(RequestBody::None),
        Just(RequestBody::Whole(Vec::new())),
        piece().prop_map(RequestBody::Whole),
        any::<Option<u64>>().prop_map(|length| RequestBody::Stream { length }),
    ];
    (
        text_up_to(limits::METHOD_BYTES_MAX),
        text_up_to(limits::URL_BYTES_MAX),
        headers(),
        redirect,
        body,
    )
        .prop_map(|(method, url, headers, redirect, body)| Request {
            method,
            url,
            headers,
            redirect,
            body,
        })
}

fn response() -> impl Strategy<Value = Response> {
    (
        any::<(u16, bool)>(),
        text_up_to(limits::STATUS_TEXT_BYTES_MAX),
        headers(),
        text_up_to(limits::URL_BYTES_MAX),
    )
        .prop_map(
            |((status, is_redirected), status_text, headers, url)| Response {
                status,
                status_text,
                headers,
                url,
                is_redirected,
            },
        )
}

fn fetch_call() -> impl Strategy<Value = FromWorker> {
    let step = prop_oneof![
        request().prop_map(CallStep::Open),
        piece().prop_map(CallStep::Send),
        Just(CallStep::SendEnd),
        Just(CallStep::Pull),
        Just(CallStep::Abort),
    ];
    (any::<u32>(), step)
        .prop_map(|(exchange, step)| FromWorker::Fetch(FetchCall { exchange, step }))
}

fn fetch_reply() -> impl Strategy<Value = ToWorker> {
    let step = prop_oneof![
        Just(ReplyStep::More),
        Just(ReplyStep::Again),
        response().prop_map(ReplyStep::Opened),
        piece().prop_map(ReplyStep::Data),
        Just(ReplyStep::End),
        text_up_to(limits::FETCH_ERROR_BYTES_MAX).prop_map(ReplyStep::Failed),
    ];
    (any::<u32>(), step).prop_map(|(exchange, step)| ToWorker::Fetch(FetchReply { exchange, step }))
}

fn heap_use() -> impl Strategy<Value = HeapUse> {
    prop_oneof![
        Just(HeapUse::Discard),
        Just(HeapUse::New),
        (1..=limits::SNAPSHOT_BYTES_MAX).prop_map(|bytes| HeapUse::Continue { bytes }),
    ]
}

fn hello() -> impl Strategy<Value = FromWorker> {
    let version = || text_up_to(limits::VERSION_BYTES_MAX);
    let build = text_up_to(limits::HEAP_BUILD_BYTES_MAX);
    let layers = proptest::array::uniform8(any::<bool>());
    (any::<u32>(), version(), version(), build, layers).prop_map(
        |(protocol_version, worker_version, v8_version, heap_build, on)| {
            FromWorker::Hello(Hello {
                protocol_version,
                worker_version,
                v8_version,
                heap_build,
                confinement: Confinement {
                    seccomp: on[0],
                    landlock: on[1],
                    user_namespace: on[2],
                    pid_namespace: on[3],
                    mount_namespace: on[4],
                    network_namespace: on[5],
                    own_user: on[6],
                    checked: on[7],
                },
            })
        },
    )
}

fn console() -> impl Strategy<Value = FromWorker> {
    text_up_to(limits::CONSOLE_CHUNK_BYTES_MAX)
        .prop_map(|text| FromWorker::Console(Console { text }))
}

fn finished() -> impl Strategy<Value = FromWorker> {
    let kind = prop_oneof![
        Just(FailureKind::Syntax),
        Just(FailureKind::Exception),
        Just(FailureKind::UnhandledRejection),
        Just(FailureKind::NothingLeftToWaitFor),
        Just(FailureKind::Unprintable),
        Just(FailureKind::Memory),
    ];
    let completed = (
        cut_text(limits::RESULT_BYTES_MAX),
        cut_text(limits::PREVIEW_BYTES_MAX),
    )
        .prop_map(|(result, preview)| Finished::Completed(Completion { result, preview }));
    let failed = (kind, cut_text(limits::ERROR_BYTES_MAX))
        .prop_map(|(kind, error)| Finished::Failed(Failure { kind, error }));
    prop_oneof![completed, failed].prop_map(FromWorker::Finished)
}

fn from_worker() -> impl Strategy<Value = FromWorker> {
    prop_oneof![hello(), console(), fetch_call(), finished(), saved()]
}

fn saved() -> impl Strategy<Value = FromWorker> {
    prop_oneof![
        (1..=limits::SNAPSHOT_BYTES_MAX).prop_map(|bytes| FromWorker::Saved(Saved { bytes })),
        cut_text(limits::UNSAVED_BYTES_MAX).prop_map(|why| FromWorker::Unsaved(Unsaved { why })),
    ]
}

/// Sends the messages through a reader, cut at the given places, taking messages out as they come.
fn travels<M: Message + Clone + PartialEq + std::fmt::Debug>(
    messages: &[M],
    cuts: &[Index],
) -> Result<(), TestCaseError> {
    let mut stream = Vec::new();
    for message in messages {
        let frame = encode(message).unwrap();
        prop_assert!(frame.len() <= limits::FRAME_HEADER_BYTES + M::FRAME_BYTES_MAX);
        stream.extend(frame);
    }
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
    places.extend([0, stream.len()]);
    places.sort_unstable();
    let mut reader = FrameReader::<M>::default();
    let mut got = Vec::new();
    for pair in places.windows(2) {
        reader.push(&stream[pair[0]..pair[1]]);
        while let Some(message) = reader.next_message().unwrap() {
            got.push(message);
        }
    }
    prop_assert!(!reader.is_mid_frame());
    prop_assert_eq!(got.as_slice(), messages);
    Ok(())
}

/// Reads any bytes; what is read must encode to the very bytes that it was read from.
fn reads<M: Message + PartialEq + std::fmt::Debug>(
    bytes: &[u8],
    piece: usize,
) -> Result<(), TestCaseError> {
    let mut reader = FrameReader::<M>::default();
    let mut read = 0;
    for piece in bytes.chunks(piece) {
        reader.push(piece);
        loop {
            match reader.next_message() {
                Ok(Some(message)) => {
                    let frame = encode(&message).unwrap();
                    prop_assert_eq!(&bytes[read..read + frame.len()], frame.as_slice());
                    read += frame.len();
                }
                Ok(None) => break,
                Err(error) => {
                    prop_assert_eq!(reader.next_message(), Err(error));
                    prop_assert!(!reader.is_mid_frame());
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

/// Bytes that look like frames: true lengths, small tags, lying counts.
fn framelike() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        (0..8_u64).prop_map(|tag| tag.to_le_bytes()[..4].to_vec()),
        any::<u64>().prop_map(|count| count.to_le_bytes().to_vec()),
        (0..64_u64).prop_map(|count| count.to_le_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..20),
    ];
    let payload = prop::collection::vec(word, 0..8).prop_map(|words| words.concat());
    let frame = (payload, prop::option::weighted(0.1, any::<u32>())).prop_map(|(payload, lie)| {
        let length = lie.unwrap_or(u32::try_from(payload.len()).unwrap());
        [length.to_le_bytes().to_vec(), payload].concat()
    });
    prop::collection::vec(frame, 1..4).prop_map(|frames| frames.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn messages_to_the_worker_survive_any_cut(
        messages in prop::collection::vec(to_worker(), 0..4),
        cuts in prop::collection::vec(any::<Index>(), 0..12),
    ) {
        travels(&messages, &cuts)?;
    }

    #[test]
    fn messages_from_the_worker_survive_any_cut(
        messages in prop::collection::vec(from_worker(), 0..6),
        cuts in prop::collection::vec(any::<Index>(), 0..12),
    ) {
        travels(&messages, &cuts)?;
    }

    #[test]
    fn a_reader_gets_on_byte_by_byte(message in hello()) {
        let mut reader = FrameReader::<FromWorker>::default();
        let frame = encode(&message).unwrap();
        let (last, rest) = frame.split_last().unwrap();
        for byte in rest {
            reader.push(&[*byte]);
            prop_assert_eq!(reader.next_message(), Ok(None));
            prop_assert!(reader.is_mid_frame());
        }
        reader.push(&[*last]);
        prop_assert_eq!(reader.next_message(), Ok(Some(message)));
    }

    #[test]
    fn bytes_behind_a_message_are_refused(message in from_worker(), extra in 1..9_usize) {
        let mut payload = encode(&message).unwrap().split_off(limits::FRAME_HEADER_BYTES);
        payload.resize(payload.len() + extra, 0);
        prop_assert_eq!(
            decode_payload::<FromWorker>(&payload),
            Err(DecodeError::TrailingBytes { bytes: extra })
        );
    }

    #[test]
    fn a_payload_cut_short_is_refused(message in from_worker(), end in any::<Index>()) {
        let payload = encode(&message).unwrap().split_off(limits::FRAME_HEADER_BYTES);
        let end = end.index(payload.len());
        prop_assert_eq!(
            decode_payload::<FromWorker>(&payload[..end]),
            Err(DecodeError::Malformed { bytes: end })
        );
    }

    #[test]
    fn cutting_keeps_whole_characters(text in ".{0,60}", bytes_max in 0..100_usize) {
        let cut = Text::cut(text.clone(), bytes_max);
        prop_assert!(text.starts_with(&cut.text));
        prop_assert!(cut.text.len() <= bytes_max);
        prop_assert_eq!(cut.truncated, text.len() > bytes_max);
        if let Some(next) = text[cut.text.len()..].chars().next() {
            prop_assert!(cut.text.len() + next.len_utf8() > bytes_max, "one more would fit");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_messages_or_an_error(
        bytes in prop_oneof![framelike(), prop::collection::vec(any::<u8>(), 0..200)],
        piece in 1..50_usize,
    ) {
        reads::<ToWorker>(&bytes, piece)?;
        reads::<FromWorker>(&bytes, piece)?;
    }
}

/// One message of each kind that the phases tell apart, the direction in the type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Hello,
    StartDiscard,
    StartNew,
    StartContinue,
    Console,
    Call,
    Reply,
    Completed,
    Failed,
    Saved,
    Unsaved,
}

const ALL_SAID: [Said; 11] = [
    Said::Hello,
    Said::StartDiscard,
    Said::StartNew,
    Said::StartContinue,
    Said::Console,
    Said::Call,
    Said::Reply,
    Said::Completed,
    Said::Failed,
    Said::Saved,
    Said::Unsaved,
];

fn step(phase: Phase, said: Said) -> Option<Phase> {
    let text = || Text::cut(String::new(), 0);
    let from = |message: &FromWorker| phase.on_from_worker(message).ok();
    let start = |heap| {
        let limits = ExecutionLimits {
            heap_bytes: 0,
            buffer_bytes: 0,
            cpu_seconds: 0,
            snapshot_bytes: 0,
        };
        let source = String::new();
        let start = ToWorker::Start(Start {
            source,
            limits,
            heap,
            grants: Grants::default(),
        });
        phase.on_to_worker(&start).ok()
    };
    match said {
        Said::Hello => from(&FromWorker::Hello(Hello {
            protocol_version: 0,
            worker_version: String::new(),
            v8_version: String::new(),
            heap_build: String::new(),
            confinement: Confinement::default(),
        })),
        Said::StartDiscard => start(HeapUse::Discard),
        Said::StartNew => start(HeapUse::New),
        Said::StartContinue => start(HeapUse::Continue { bytes: 1 }),
        Said::Console => from(&FromWorker::Console(Console {
            text: String::new(),
        })),
        Said::Call => from(&FromWorker::Fetch(FetchCall {
            exchange: 0,
            step: CallStep::Pull,
        })),
        Said::Reply => {
            let step = ReplyStep::End;
            let reply = ToWorker::Fetch(FetchReply { exchange: 0, step });
            phase.on_to_worker(&reply).ok()
        }
        Said::Failed => from(&FromWorker::Finished(Finished::Failed(Failure {
            kind: FailureKind::Syntax,
            error: text(),
        }))),
        Said::Completed => from(&FromWorker::Finished(Finished::Completed(Completion {
            result: text(),
            preview: text(),
        }))),
        Said::Saved => from(&FromWorker::Saved(Saved { bytes: 1 })),
        Said::Unsaved => from(&FromWorker::Unsaved(Unsaved { why: text() })),
    }
}

/// The grammar, written down a second time and in another way: Hello, Start, Console or Fetch as often
/// as wanted, an end; and after the completion of an execution whose heap is kept, what became of it.
fn is_legal(sequence: &[Said]) -> bool {
    let is_kept = matches!(sequence.get(1), Some(Said::StartNew | Said::StartContinue));
    let length = sequence.len();
    sequence.iter().enumerate().all(|(place, said)| match said {
        Said::Hello => place == 0,
        Said::StartDiscard | Said::StartNew | Said::StartContinue => place == 1,
        Said::Console | Said::Call | Said::Reply => {
            place >= 2 && !sequence[..place].contains(&Said::Completed)
        }
        Said::Failed => {
            place >= 2 && place + 1 == length && !sequence[..place].contains(&Said::Completed)
        }
        Said::Completed => {
            let ends = place + 1 + usize::from(is_kept);
            place >= 2 && !sequence[..place].contains(&Said::Completed) && length <= ends
        }
        Said::Saved | Said::Unsaved => {
            is_kept && place + 1 == length && sequence[place - 1] == Said::Completed
        }
    })
}

fn is_over(sequence: &[Said]) -> bool {
    match sequence.last() {
        Some(Said::Failed | Said::Saved | Said::Unsaved) => true,
        Some(Said::Completed) => sequence.get(1) == Some(&Said::StartDiscard),
        _ => false,
    }
}

#[test]
fn the_phases_accept_exactly_the_legal_sequences() {
    const LENGTH_MAX: u32 = 6;
    let kinds = ALL_SAID.len();
    let mut legal = 0;
    for length in 0..=LENGTH_MAX {
        for number in 0..kinds.pow(length) {
            let sequence: Vec<Said> = (0..length)
                .map(|place| ALL_SAID[number / kinds.pow(place) % kinds])
                .collect();
            let mut end = Some(Phase::Booting);
            for said in &sequence {
                end = end.and_then(|phase| step(phase, *said));
            }
            assert_eq!(end.is_some(), is_legal(&sequence), "{sequence:?}");
            assert_eq!(
                end == Some(Phase::Done),
                is_over(&sequence) && end.is_some(),
                "{sequence:?}"
            );
            legal += u32::from(end.is_some());
        }
    }
    // Empty; Hello; Hello and each Start. Then a script has said any of three things so and so often. For
    // each of those: it goes on, or has ended in one of two ways; and where its heap is kept, one of them is
    // followed by what became of that, of two kinds.
    let said = |times: u32| 3_u32.pow(times);
    let mut expected = 5;
    for length in 3..=LENGTH_MAX {
        let ended = 2 * said(length - 3);
        expected += said(length - 2) + ended;
        expected += 2 * (said(length - 2) + ended);
        if length > 3 {
            expected += 2 * 2 * said(length - 4);
        }
    }
    assert_eq!(legal, expected);
}

#[test]
fn a_violation_names_the_message_and_the_phase() {
    let message = FromWorker::Console(Console {
        text: String::new(),
    });
    let violation = Phase::Parked.on_from_worker(&message).unwrap_err();
    assert_eq!(violation.to_string(), "Console is not legal while Parked");
}
