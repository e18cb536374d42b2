//! The steps of a worker.

use std::env;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::FromRawFd;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread;
use std::time::Duration;

use e2e::hostile::SCRIPT_PREFIX;
use mcp_v8_protocol::PROTOCOL_VERSION;
use mcp_v8_protocol::codec::FrameReader;
use mcp_v8_protocol::fetch::{CallStep, ExchangeId, FetchReply, ReplyStep};
use mcp_v8_protocol::limits;
use mcp_v8_protocol::message::{FromWorker, ToWorker};
use nix::unistd::{ForkResult, alarm, fork};

use crate::messages::{
    self, NOWHERE, VERSION, bad_bytes, completed, console, failed, frame, hello_of,
};
use crate::{LIFE_SECS, UNKNOWN_STEP, await_leave, leave_mark, raise, recorder};

/// The pause between two bytes of a frame that trickles.
const TRICKLE_PAUSE: Duration = Duration::from_millis(20);
/// Small frames that are written at once.
const TINY_FRAMES: usize = 4096;
/// The length of a large body.
const LARGE_BYTES: usize = 1 << 20;
/// Pieces that are sent without being asked for.
const BURST_PIECES: usize = 64;

pub(crate) struct Worker {
    input: File,
    output: File,
    replies: FrameReader<ToWorker>,
    /// What of the body that was announced last is still to be sent.
    left: usize,
    announced: usize,
}

impl Worker {
    /// The one whose pipes are on descriptors 3 and 4.
    pub(crate) fn in_place() -> Self {
        // SAFETY: the supervisor gives these two; nothing else in this process uses them.
        let (input, output) = unsafe { (File::from_raw_fd(3), File::from_raw_fd(4)) };
        Self {
            input,
            output,
            replies: FrameReader::default(),
            left: 0,
            announced: 0,
        }
    }

    /// Performs all steps; the exit code.
    pub(crate) fn perform(&mut self, steps: &str) -> io::Result<u8> {
        for step in steps.split_whitespace() {
            let (name, argument) = step.split_once('=').unwrap_or((step, ""));
            if let Some(code) = self.step(name, argument)? {
                return Ok(code);
            }
        }
        Ok(0)
    }

    /// Performs one step; the exit code when it is the last.
    fn step(&mut self, name: &str, argument: &str) -> io::Result<Option<u8>> {
        match name {
            "hello" => self.say(&messages::hello())?,
            "hello_of_protocol" => {
                let version = argument.parse().unwrap_or(u32::MAX);
                self.say(&FromWorker::Hello(hello_of(version, VERSION)))?;
            }
            "hello_of_version" => {
                self.say(&FromWorker::Hello(hello_of(PROTOCOL_VERSION, argument)))?;
            }
            "start" => drop(self.hear()?),
            "start_partly" => self.hear_partly(argument)?,
            "obey" => return self.obey().map(Some),
            "console" => self.say(&console(argument))?,
            "finished" => self.finish("ok")?,
            // What may follow where heaps are kept is said by steps of their own.
            "completed" => self.say(&completed("ok"))?,
            "put" => put_into_window(argument)?,
            "saved" => self.say(&messages::saved(argument.parse().unwrap_or(1)))?,
            "unsaved" => self.say(&messages::unsaved(argument))?,
            "failed" => self.say(&failed())?,
            "largest" => self.say(&messages::largest())?,
            "echo" => self.echo()?,
            "bytewise" => self.say_bytewise(argument)?,
            "tiny" => self.say_often(&console("x"), argument)?,
            "nothing" => self.say_often(&console(""), argument)?,
            "exit" => return Ok(Some(argument.parse().unwrap_or(UNKNOWN_STEP))),
            "signal" => raise(argument)?,
            "mark" => leave_mark(argument)?,
            "await" => await_leave(argument),
            "words" => io::stderr().write_all(argument.replace('_', " ").as_bytes())?,
            // So many MiB, each page of them touched.
            "grow" => std::mem::forget(vec![1_u8; argument.parse::<usize>().unwrap_or(1) << 20]),
            "sleep" => loop {
                thread::park();
            },
            "spin" => loop {
                std::hint::spin_loop();
            },
            "close" => {
                self.input = null()?;
                self.output = null()?;
            }
            "close_input" => self.input = null()?,
            "close_output" => self.output = null()?,
            "fork" => fork_a_sleeper()?,
            "exec" => return Err(exec(argument)),
            "record" => {
                let (input, output) = (self.input.try_clone()?, self.output.try_clone()?);
                return recorder::record(argument, input, output).map(Some);
            }
            other => return self.fetch_step(other, argument),
        }
        Ok(None)
    }

    /// Says something about an exchange, `<its number>` or `<its number>@<a URL>`; the exit code of a
    /// step that it does not know.
    fn fetch_step(&mut self, name: &str, argument: &str) -> io::Result<Option<u8>> {
        let (number, url) = argument.split_once('@').unwrap_or((argument, NOWHERE));
        let exchange: ExchangeId = number.parse().unwrap_or_default();
        match name {
            "open" => self.say(&messages::open(exchange, url))?,
            "get" => self.say(&messages::get(exchange, url))?,
            "send" => self.say(&messages::send(exchange))?,
            "send_end" => self.say(&messages::call(exchange, CallStep::SendEnd))?,
            "pull" => self.say(&messages::call(exchange, CallStep::Pull))?,
            "abort" => self.say(&messages::call(exchange, CallStep::Abort))?,
            // So many of them, none of which ends.
            "opens" => {
                for exchange in 0..exchange {
                    self.say(&messages::open(exchange, url))?;
                }
            }
            "sized" => self.announce(exchange, url, messages::PIECE.len())?,
            "large" => self.announce(exchange, url, LARGE_BYTES)?,
            "feed" => self.feed(exchange)?,
            "until" => while !messages::is_reply(&self.reply()?.step, argument) {},
            "twice" => self.say(&messages::piece(exchange, 2 * self.announced))?,
            // Far more than anybody has asked for.
            "burst" => {
                let piece = frame(&messages::send(exchange))?;
                self.output.write_all(&piece.repeat(BURST_PIECES))?;
            }
            "flood_open" => self.flood_exchanges(url)?,
            "flood_pull" => {
                let pull = frame(&messages::call(exchange, CallStep::Pull))?;
                self.flood(&pull.repeat(TINY_FRAMES))?;
            }
            // Its words are read and thrown away, so that more come.
            "drain" => io::copy(&mut self.input, &mut io::sink()).map(drop)?,
            other => return self.bad_step(other),
        }
        Ok(None)
    }

    /// Begins an exchange with a body of this length.
    fn announce(&mut self, exchange: ExchangeId, url: &str, bytes: usize) -> io::Result<()> {
        (self.announced, self.left) = (bytes, bytes);
        self.say(&messages::sized(exchange, url, bytes))
    }

    /// Sends what is asked for, as a worker should, until that begins anew, or until there is an answer.
    fn feed(&mut self, exchange: ExchangeId) -> io::Result<()> {
        loop {
            let reply = self.reply()?;
            if reply.exchange != exchange {
                continue;
            }
            match reply.step {
                ReplyStep::More if self.left == 0 => {
                    self.say(&messages::call(exchange, CallStep::SendEnd))?;
                }
                ReplyStep::More => {
                    let bytes = self.left.min(limits::BODY_CHUNK_BYTES_MAX);
                    self.left -= bytes;
                    self.say(&messages::piece(exchange, bytes))?;
                }
                ReplyStep::Again => {
                    self.left = self.announced;
                    return Ok(());
                }
                _ => return Ok(()),
            }
        }
    }

    /// What it is told next of its exchanges.
    fn reply(&mut self) -> io::Result<FetchReply> {
        let mut bytes = vec![0; 64 << 10];
        loop {
            let next = self.replies.next_message().map_err(io::Error::other)?;
            if let Some(ToWorker::Fetch(reply)) = next {
                return Ok(reply);
            }
            match self.input.read(&mut bytes)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => self.replies.push(&bytes[..read]),
            }
        }
    }

    /// Begins exchanges and gives them up, and reads nothing.
    fn flood_exchanges(&mut self, url: &str) -> io::Result<()> {
        for exchange in 0.. {
            self.say(&messages::open(exchange, url))?;
            self.say(&messages::call(exchange, CallStep::Abort))?;
        }
        Ok(())
    }

    /// Sends bytes that are no message, or messages without end; the exit code of a step that it
    /// does not know.
    fn bad_step(&mut self, name: &str) -> io::Result<Option<u8>> {
        match name {
            "trickle" => self.trickle()?,
            "slow_finished" => {
                for byte in frame(&completed("slow"))? {
                    self.output.write_all(&[byte])?;
                    thread::sleep(TRICKLE_PAUSE / 10);
                }
            }
            "flood" => self.flood(&frame(&console(
                &"x".repeat(limits::CONSOLE_CHUNK_BYTES_MAX),
            ))?)?,
            "flood_tiny" => self.flood(&frame(&console("x"))?.repeat(TINY_FRAMES))?,
            "flood_nothing" => self.flood(&frame(&console(""))?.repeat(TINY_FRAMES))?,
            // Nobody reads standard error while a worker runs.
            "flood_words" => loop {
                io::stderr().write_all(&[b'x'; 4096])?;
            },
            other => match bad_bytes(other)? {
                Some(bytes) => self.output.write_all(&bytes)?,
                None => return Ok(Some(UNKNOWN_STEP)),
            },
        }
        Ok(None)
    }

    fn flood(&mut self, bytes: &[u8]) -> io::Result<()> {
        loop {
            self.output.write_all(bytes)?;
        }
    }

    fn trickle(&mut self) -> io::Result<()> {
        let good = frame(&console("hostile"))?;
        for byte in &good[..good.len() - 1] {
            self.output.write_all(&[*byte])?;
            thread::sleep(TRICKLE_PAUSE);
        }
        Ok(())
    }

    /// Does what the script says; without such words, gives the script back as its result.
    fn obey(&mut self) -> io::Result<u8> {
        let source = self.hear()?;
        if let Some(steps) = source.strip_prefix(SCRIPT_PREFIX) {
            return self.perform(steps);
        }
        self.finish(&source)?;
        Ok(0)
    }

    fn say(&mut self, message: &FromWorker) -> io::Result<()> {
        self.output.write_all(&frame(message)?)
    }

    /// Completes; where heaps are kept, without one.
    fn finish(&mut self, result: &str) -> io::Result<()> {
        self.say(&completed(result))?;
        if is_stateful() {
            self.say(&messages::unsaved("it keeps none"))?;
        }
        Ok(())
    }

    /// Says a message by as many writes as it has bytes.
    fn say_bytewise(&mut self, name: &str) -> io::Result<()> {
        let message = messages::by_name(name).ok_or(io::ErrorKind::InvalidInput)?;
        for byte in frame(&message)? {
            self.output.write_all(&[byte])?;
        }
        Ok(())
    }

    fn say_often(&mut self, message: &FromWorker, count: &str) -> io::Result<()> {
        let one = frame(message)?;
        let mut left: usize = count.parse().map_err(io::Error::other)?;
        while left > 0 {
            let now = left.min(TINY_FRAMES);
            self.output.write_all(&one.repeat(now))?;
            left -= now;
        }
        Ok(())
    }

    /// Reads Start; its source.
    fn hear(&mut self) -> io::Result<String> {
        let mut frames = FrameReader::<ToWorker>::default();
        let mut bytes = vec![0; 64 << 10];
        loop {
            if let Some(ToWorker::Start(start)) = frames.next_message().map_err(io::Error::other)? {
                return Ok(start.source);
            }
            match self.input.read(&mut bytes)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => frames.push(&bytes[..read]),
            }
        }
    }

    /// Reads so many bytes of Start.
    fn hear_partly(&mut self, count: &str) -> io::Result<()> {
        let mut bytes = vec![0; count.parse().map_err(io::Error::other)?];
        self.input.read_exact(&mut bytes)
    }

    /// Sends what the supervisor sent, as it came.
    fn echo(&mut self) -> io::Result<()> {
        let mut bytes = vec![0; 64 << 10];
        let read = self.input.read(&mut bytes)?;
        self.output.write_all(&bytes[..read])
    }
}

fn is_stateful() -> bool {
    env::args_os().any(|argument| argument == "stateful")
}

/// Writes a text to the beginning of the heap window.
fn put_into_window(text: &str) -> io::Result<()> {
    // SAFETY: a worker of this mode gets a window on this descriptor; it stays open.
    let window = std::mem::ManuallyDrop::new(unsafe { File::from_raw_fd(5) });
    window.write_all_at(text.as_bytes(), 0)
}

fn null() -> io::Result<File> {
    File::options().read(true).write(true).open("/dev/null")
}

/// Leaves a process behind that holds the pipes.
fn fork_a_sleeper() -> io::Result<()> {
    // SAFETY: this process has one thread.
    if let ForkResult::Child = unsafe { fork() }? {
        alarm::set(LIFE_SECS);
        loop {
            thread::park();
        }
    }
    Ok(())
}

/// Becomes another worker program, with the same pipes.
fn exec(program: &str) -> io::Error {
    alarm::cancel();
    let own_name = env::args_os().next().unwrap_or_default();
    let arguments = env::args_os().skip(2);
    Command::new(program)
        .arg0(own_name)
        .arg("serve")
        .args(arguments)
        .exec()
}
