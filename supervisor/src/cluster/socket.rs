//! What the kernel is told about a connection between nodes.

use std::io;

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::{KeepAlive, SndBuf, TcpKeepIdle, TcpKeepInterval, TcpUserTimeout};
use tokio::net::TcpStream;

use crate::limits::{PEER_SEND_BUFFER_BYTES, PEER_SILENCE_MAX, PEER_UNHEARD_WAIT_MAX};

/// The same of one that others have made to this node. The kernel holds little of answers that they do not
/// take: the rest counts.
pub(super) fn prepare_accepted(stream: &TcpStream) -> io::Result<()> {
    setsockopt(stream, SndBuf, &PEER_SEND_BUFFER_BYTES)?;
    prepare(stream)
}

/// Small packets go out at once. A node that has gone without a word is noticed: by what was sent and is
/// not heard, and by questions of the kernel where one end waits for a long answer.
pub(super) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let unheard = u32::try_from(PEER_UNHEARD_WAIT_MAX.as_millis()).unwrap_or(u32::MAX);
    let silence = u32::try_from(PEER_SILENCE_MAX.as_secs()).unwrap_or(1);
    setsockopt(stream, TcpUserTimeout, &unheard)?;
    setsockopt(stream, TcpKeepIdle, &silence)?;
    setsockopt(stream, TcpKeepInterval, &silence)?;
    setsockopt(stream, KeepAlive, &true)?;
    Ok(())
}
