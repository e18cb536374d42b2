//! The floor of a request that a script makes: hyper's client, and nothing else. It gets a URL (the first
//! argument) as often as the second argument says, over one connection, and writes the nanoseconds of each.
//! `scripts/bench fetch` runs it.

use std::error::Error;
use std::io::Write;
use std::time::Instant;

use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(times)) = (arguments.next(), arguments.next()) else {
        return Err("a URL and a number are needed".into());
    };
    let url: Uri = url.parse()?;
    let place = url.authority().ok_or("the URL names no server")?.as_str();
    let stream = TcpStream::connect(place).await?;
    stream.set_nodelay(true)?;
    let (mut client, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let mut output = std::io::stdout().lock();
    for _ in 0..times.parse()? {
        let request = Request::get(url.path()).header("host", place);
        let request = request.body(Empty::<Bytes>::new())?;
        let begin = Instant::now();
        client.ready().await?;
        let answer = client.send_request(request).await?;
        if !answer.status().is_success() {
            return Err(format!("the answer is {}", answer.status()).into());
        }
        answer.into_body().collect().await?;
        writeln!(output, "{}", begin.elapsed().as_nanos())?;
    }
    Ok(())
}
