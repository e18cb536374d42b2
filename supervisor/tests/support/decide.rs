//! How long a policy takes to decide: it asks the policies of a directory (the first argument) about one
//! request as often as the second argument says, and writes the nanoseconds of each. `scripts/bench fetch`
//! runs it.

use std::error::Error;
use std::io::Write;
use std::time::Instant;

use http::{HeaderMap, Method};
use mcp_v8::policy::{Asked, Policy, PolicyOptions};
use mcp_v8::tenant::Tenant;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(directory), Some(times)) = (arguments.next(), arguments.next()) else {
        return Err("a directory and a number are needed".into());
    };
    let policy = Policy::open(PolicyOptions::Directory(directory.into())).await?;
    let asked = Asked {
        tenant: Tenant::local(),
        session: None,
        method: Method::GET,
        url: "http://127.0.0.1:8080/small?a=b".parse()?,
        headers: HeaderMap::new(),
    };
    let mut output = std::io::stdout().lock();
    for _ in 0..times.parse()? {
        let begin = Instant::now();
        policy.decide(&asked).await?;
        writeln!(output, "{}", begin.elapsed().as_nanos())?;
    }
    Ok(())
}
