//! What the host keeps for one isolate, for the callbacks that V8 makes.
//!
//! It hangs in an isolate slot as an `Rc`, so a callback borrows only the part that it needs, for no
//! longer than it needs it: a callback that runs a script may be entered again.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use deno_core::v8;
use mcp_v8_protocol::fetch::{FetchCall, FetchReply};
use mcp_v8_protocol::message::{FromWorker, Grants};

use crate::conversation::ConversationError;
use crate::runtime::buffers::BufferBudget;
use crate::runtime::exchanges::Exchanges;
use crate::runtime::position::Position;
use crate::runtime::timers::Timers;
use crate::typescript::{Complaint, PositionMap};
use crate::web::decoders::Decoders;
use crate::web::wasm::Living;
use crate::web::wasm_preloaded::Preloaded;
use crate::web::weak::WeakList;

/// Where a script's effects go. The conversation with a supervisor is one, the terminal another.
pub trait Host {
    /// Takes one piece of console output, with its line ends, now.
    fn console(&mut self, text: &str);

    /// What a script may ask for. A host that says nothing grants nothing, and the two functions that
    /// follow are not called.
    fn grants(&self) -> Grants {
        Grants::default()
    }

    /// Says something of a request that the script makes.
    fn fetch(&mut self, _call: FetchCall) {}

    /// What the supervisor says next of the requests that are open; `None` when nothing has come at
    /// that time. Without a time it waits for as long as it takes.
    fn next_reply(&mut self, _until: Option<Instant>) -> Option<FetchReply> {
        None
    }

    /// Says how the script ended, and afterwards what became of its heap.
    ///
    /// # Errors
    /// [`ConversationError`] when nobody listens.
    fn finished(&mut self, message: &FromWorker) -> Result<(), ConversationError>;

    /// Waits, after the last word, until nobody needs this process.
    fn linger(&mut self) {}

    /// Tells that V8's heap limit was reached. The process cannot go on: V8 is in the middle of an
    /// allocation, no script may run, and this must not return.
    fn heap_limit_reached(&mut self) -> !;
}

/// The host's side of one isolate.
pub(crate) struct State {
    pub(crate) host: RefCell<Option<Box<dyn Host>>>,
    pub(crate) buffers: Arc<BufferBudget>,
    /// By how much the heap limit was raised for array buffers, in bytes.
    pub(crate) heap_given_back: Cell<usize>,
    /// Whether the script is over, and its heap is being saved.
    pub(crate) is_saving: Cell<bool>,
    /// What the script may ask for.
    pub(crate) grants: Cell<Grants>,
    pub(crate) timers: RefCell<Timers>,
    pub(crate) exchanges: RefCell<Exchanges>,
    pub(crate) decoders: RefCell<Decoders>,
    /// Rejected promises that nobody has handled yet.
    pub(crate) rejections: RefCell<Vec<(v8::Global<v8::Promise>, v8::Global<v8::Value>)>>,
    /// Where the last rejected promise was rejected: the place of what is thrown without a stack.
    pub(crate) rejected_at: Cell<Option<Position>>,
    /// The first exception that reached the event loop.
    pub(crate) uncaught: RefCell<Option<v8::Global<v8::Value>>>,
    /// What `op_url_get_serialization` gives next.
    pub(crate) url_serialization: RefCell<String>,
    /// Maps positions in lowered TypeScript back to the source.
    pub(crate) positions: RefCell<Option<PositionMap>>,
    /// What TypeScript's parser had against the source, if V8 refuses it as well.
    pub(crate) complaint: RefCell<Option<Complaint>>,
    /// The zero of `performance.now()` and of timers.
    pub(crate) started: Cell<Instant>,
    /// The modules that the operator has preloaded, if there are any.
    pub(crate) preloaded: OnceCell<Rc<Preloaded>>,
    /// What of V8's WebAssembly objects may be in use.
    pub(crate) web_assembly: Living,
    /// Shared buffers that the script has made.
    pub(crate) shared_buffers: RefCell<WeakList>,
    /// The value that the host asked the inspector to hand over.
    pub(crate) handed_over: RefCell<Option<v8::Global<v8::Value>>>,
}

impl State {
    pub(crate) fn new() -> Rc<Self> {
        Rc::new(Self {
            host: RefCell::new(None),
            buffers: Arc::default(),
            heap_given_back: Cell::new(0),
            is_saving: Cell::new(false),
            grants: Cell::default(),
            timers: RefCell::default(),
            exchanges: RefCell::default(),
            decoders: RefCell::default(),
            rejections: RefCell::default(),
            rejected_at: Cell::default(),
            uncaught: RefCell::default(),
            url_serialization: RefCell::default(),
            positions: RefCell::default(),
            complaint: RefCell::default(),
            started: Cell::new(Instant::now()),
            preloaded: OnceCell::new(),
            web_assembly: Living::default(),
            shared_buffers: RefCell::default(),
            handed_over: RefCell::default(),
        })
    }

    /// The state of the isolate that a callback runs in.
    pub(crate) fn of(isolate: &v8::Isolate) -> Rc<Self> {
        match isolate.get_slot::<Rc<Self>>() {
            Some(state) => Rc::clone(state),
            None => unreachable!("the slot is filled before any callback is installed"),
        }
    }

    /// Keeps the first exception that no script caught.
    pub(crate) fn report_uncaught(&self, error: v8::Global<v8::Value>) {
        self.uncaught.borrow_mut().get_or_insert(error);
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}
