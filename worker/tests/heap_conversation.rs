//! The worker's half of a conversation that keeps a heap, over streams in memory and a real window.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Cursor, Write};
use std::os::fd::FromRawFd;
use std::os::unix::fs::FileExt;
use std::rc::Rc;

use mcp_v8_protocol::codec::{FrameReader, encode};
use mcp_v8_protocol::message::{
    Confinement, ExecutionLimits, Finished, FromWorker, Grants, HeapUse, Start, ToWorker,
};
use mcp_v8_worker::conversation::{ConversationError, End, Limiter, Prepared, converse};
use mcp_v8_worker::runtime::Realm;
use mcp_v8_worker::window::Window;

const LIMITS: ExecutionLimits = ExecutionLimits {
    heap_bytes: 16 << 20,
    buffer_bytes: 16 << 20,
    cpu_seconds: 60,
    snapshot_bytes: 40 << 20,
};

#[derive(Clone, Default)]
struct Pipe(Rc<RefCell<Vec<u8>>>);

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Notes what is done about limits, and does nothing.
#[derive(Default)]
struct Noting(RefCell<Vec<&'static str>>);

impl Limiter for Noting {
    fn tighten(&self, _: &ExecutionLimits, _: HeapUse) {
        self.0.borrow_mut().push("tighten");
    }
    fn make_room_to_save(&self) {
        self.0.borrow_mut().push("make room");
    }
}

fn file() -> File {
    // SAFETY: the name is a string that ends; the descriptor is nobody else's.
    unsafe { File::from_raw_fd(libc::memfd_create(c"heap".as_ptr(), libc::MFD_CLOEXEC)) }
}

/// What was said, how it ended, and what was done about limits.
struct Talk {
    said: Vec<FromWorker>,
    end: Result<End, ConversationError>,
    limits: Vec<&'static str>,
}

fn talk(source: &str, limits: ExecutionLimits, heap: HeapUse, prepared: Prepared) -> Talk {
    let start = encode(&ToWorker::Start(Start {
        source: source.to_owned(),
        limits,
        heap,
        grants: Grants::default(),
    }))
    .expect("it is within the limits");
    let pipe = Pipe::default();
    let noting = Noting::default();
    let prepare = || (prepared, Confinement::default());
    let end = converse(Cursor::new(start), pipe.clone(), prepare, &noting);
    let mut frames = FrameReader::default();
    frames.push(&pipe.0.borrow());
    let mut said = Vec::new();
    while let Some(message) = frames
        .next_message()
        .expect("a worker keeps to the protocol")
    {
        said.push(message);
    }
    Talk {
        said,
        end,
        limits: noting.0.into_inner(),
    }
}

fn stateful(file: &File) -> Prepared {
    let shared = file.try_clone().expect("a descriptor");
    let window = Window::map(shared.into()).expect("it is mapped");
    file.set_len(LIMITS.snapshot_bytes).expect("it has room");
    Prepared::Stateful(Realm::for_heap(None), window)
}

/// Runs one generation; its result and the snapshot of its heap.
fn generation(heap: Option<&[u8]>, source: &str) -> (String, Vec<u8>) {
    let file = file();
    let prepared = stateful(&file);
    let heap = match heap {
        None => HeapUse::New,
        Some(snapshot) => {
            file.write_all_at(snapshot, 0).expect("it has room");
            let bytes = snapshot.len() as u64;
            HeapUse::Continue { bytes }
        }
    };
    let talk = talk(source, LIMITS, heap, prepared);
    assert_eq!(talk.end.expect("a whole conversation"), End::Finished);
    assert_eq!(talk.limits, ["tighten", "make room"]);
    let [
        ..,
        FromWorker::Finished(Finished::Completed(done)),
        FromWorker::Saved(saved),
    ] = &talk.said[..]
    else {
        panic!("{:?}", talk.said)
    };
    let mut snapshot = vec![0; usize::try_from(saved.bytes).expect("a small heap")];
    file.read_exact_at(&mut snapshot, 0).expect("it is there");
    (done.result.text.clone(), snapshot)
}

#[test]
fn a_heap_goes_through_the_window_and_back() {
    let (result, heap) = generation(
        None,
        "let count = 1; function next() { return ++count } count",
    );
    assert_eq!(result, "1");
    let (result, heap) = generation(Some(&heap), "console.log(next()); next()");
    assert_eq!(result, "3");
    let (result, _) = generation(Some(&heap), "[count, typeof next].join()");
    assert_eq!(result, "3,function");
}

#[test]
fn a_script_that_fails_leaves_no_heap() {
    let talk = talk(
        "let kept = 1; throw 1",
        LIMITS,
        HeapUse::New,
        stateful(&file()),
    );
    assert_eq!(talk.end.expect("a whole conversation"), End::Finished);
    assert!(
        matches!(
            talk.said.last(),
            Some(FromWorker::Finished(Finished::Failed(_)))
        ),
        "{:?}",
        talk.said
    );
    assert_eq!(talk.limits, ["tighten"]);
}

#[test]
fn a_heap_that_does_not_fit_is_told_and_costs_nothing_of_the_result() {
    let file = file();
    let prepared = stateful(&file);
    let narrow = ExecutionLimits {
        snapshot_bytes: 1 << 10,
        ..LIMITS
    };
    file.set_len(narrow.snapshot_bytes).expect("it has room");
    let talk = talk("6 * 7", narrow, HeapUse::New, prepared);
    assert_eq!(talk.end.expect("a whole conversation"), End::Finished);
    let [
        ..,
        FromWorker::Finished(Finished::Completed(done)),
        FromWorker::Unsaved(unsaved),
    ] = &talk.said[..]
    else {
        panic!("{:?}", talk.said)
    };
    assert_eq!(done.result.text, "42");
    assert!(
        unsaved.why.text.contains("its snapshot has 1 MB"),
        "{unsaved:?}"
    );
}

#[test]
fn a_worker_of_the_other_mode_refuses() {
    let of_none = talk(
        "1",
        LIMITS,
        HeapUse::New,
        Prepared::Stateless(Realm::for_run()),
    );
    let of_heaps = talk("1", LIMITS, HeapUse::Discard, stateful(&file()));
    for talk in [of_none, of_heaps] {
        let error = talk.end.expect_err("it is refused").to_string();
        assert!(
            error.contains("a heap of a worker that keeps none"),
            "{error}"
        );
        assert_eq!(talk.said.len(), 1, "nothing is run: {:?}", talk.said);
    }
}

#[test]
fn a_heap_larger_than_its_window_is_refused() {
    let file = file();
    let prepared = stateful(&file);
    let bytes = LIMITS.snapshot_bytes + 1;
    let talk = talk("1", LIMITS, HeapUse::Continue { bytes }, prepared);
    let error = talk.end.expect_err("it is refused").to_string();
    assert!(error.contains("does not fit into a heap window"), "{error}");
}

#[test]
fn a_stored_heap_above_the_limit_is_a_memory_failure_that_says_so() {
    let (_, heap) = generation(
        None,
        "let big = []; for (let i = 0; i < 3e5; i++) big.push({ i }); 1",
    );
    let file = file();
    let prepared = stateful(&file);
    file.write_all_at(&heap, 0).expect("it has room");
    let narrow = ExecutionLimits {
        heap_bytes: 4 << 20,
        ..LIMITS
    };
    let bytes = heap.len() as u64;
    let talk = talk("1", narrow, HeapUse::Continue { bytes }, prepared);
    let Some(FromWorker::Finished(Finished::Failed(failure))) = talk.said.last() else {
        panic!("{:?}", talk.said)
    };
    assert!(
        failure.error.text.contains("The stored heap holds"),
        "{failure:?}"
    );
    assert!(failure.error.text.contains("limit is 4 MB"), "{failure:?}");
}
