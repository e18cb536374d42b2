//! The standard streams of this process.

use std::os::fd::AsFd as _;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::io::{AsyncRead, AsyncWrite};

/// How often to look whether anybody still listens.
const LISTENER_CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// Standard input and output as streams.
///
/// Where both are anonymous pipes, as clients make them, they are driven without threads. Anything
/// else takes the way through threads: for a file or a socket there is no other, and a named pipe
/// whose writer has already gone never tells a poller that it has ended.
pub fn standard_streams() -> (
    Box<dyn AsyncRead + Send + Unpin>,
    Box<dyn AsyncWrite + Send + Unpin>,
) {
    if is_anonymous_pipe("/proc/self/fd/0") && is_anonymous_pipe("/proc/self/fd/1") {
        let (reader, writer) = rmcp::transport::stdio_pipes();
        (Box::new(reader), Box::new(writer))
    } else {
        let (reader, writer) = rmcp::transport::stdio();
        (Box::new(reader), Box::new(writer))
    }
}

fn is_anonymous_pipe(descriptor: &str) -> bool {
    std::fs::read_link(descriptor)
        .is_ok_and(|target| target.as_os_str().as_encoded_bytes().starts_with(b"pipe:["))
}

/// Waits until nobody can read standard output any more. A client that dies while its last request
/// is worked on is noticed by this alone: there is nothing to write yet.
pub async fn output_abandoned() {
    let mut ticks = tokio::time::interval(LISTENER_CHECK_INTERVAL);
    loop {
        ticks.tick().await;
        if is_abandoned() {
            return;
        }
    }
}

fn is_abandoned() -> bool {
    let output = std::io::stdout();
    // An error or a hang-up is always told, whatever is asked for.
    let mut watched = [PollFd::new(output.as_fd(), PollFlags::empty())];
    let gone = PollFlags::POLLERR | PollFlags::POLLHUP | PollFlags::POLLNVAL;
    match poll(&mut watched, PollTimeout::ZERO) {
        Ok(_) => watched
            .iter()
            .filter_map(PollFd::revents)
            .any(|events| events.intersects(gone)),
        // Tried again at the next tick.
        Err(_) => false,
    }
}
